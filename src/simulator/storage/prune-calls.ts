import type { Call, Handlers } from "../call.js";
import { fail } from "../fault.js";
import type { Volume } from "../state/model.js";
import { partsOf } from "../table/check.js";
import { contentTypes, enabledStorage } from "./storages.js";
import { freeVolume, volumesOf } from "./volumes.js";

type Mark = "keep" | "remove" | "protected" | "renamed";

interface Marked {
  readonly volume: Volume;
  readonly mark: Mark;
}

/** Backups of a storage by guest, newest first, each with what the rule does to it. */
function marked(call: Call): Marked[] {
  const name = call.need("storage");
  const storage = enabledStorage(call.state, name, call.node);
  if (!contentTypes(storage).includes("backup")) fail(`storage '${name}' does not support backups`);
  const rule = call.text("prune-backups") ?? storage.config["prune-backups"];
  if (rule === undefined) fail(`no prune-backups options configured for storage '${name}'`);
  return marks(call, { storage: name, rule, vmid: call.int("vmid"), type: call.text("type") });
}

interface Pruning {
  readonly storage: string;
  readonly rule: string;
  readonly vmid: number | undefined;
  readonly type: string | undefined;
}

/** What a rule does to the backups of a storage, of one guest or of one kind or of all. */
export function marks(call: Call, { storage, rule, vmid, type }: Pruning): Marked[] {
  const groups = new Map<string, Volume[]>();
  for (const volume of volumesOf(call.state, storage, call.node)) {
    if (volume.content !== "backup" || (vmid !== undefined && volume.vmid !== vmid)) continue;
    if (type !== undefined && volume.subtype !== type) continue;
    const key = `${volume.subtype ?? ""}/${volume.vmid ?? 0}`;
    groups.set(key, [...(groups.get(key) ?? []), volume]);
  }
  return [...groups.values()].flatMap((volumes) => mark(volumes, partsOf(rule, "prune-backups")));
}

/** Periods of a rule: a backup is kept when it is the newest of its period. */
const PERIODS: readonly (readonly [string, (time: Date) => string])[] = [
  ["keep-hourly", (time) => time.toISOString().slice(0, 13)],
  ["keep-daily", (time) => time.toISOString().slice(0, 10)],
  ["keep-weekly", (time) => String(Math.floor((time.getTime() / 86_400_000 + 3) / 7))],
  ["keep-monthly", (time) => time.toISOString().slice(0, 7)],
  ["keep-yearly", (time) => time.toISOString().slice(0, 4)],
];

function mark(volumes: readonly Volume[], rule: Readonly<Record<string, string>>): Marked[] {
  const newest = [...volumes].sort((a, b) => b.ctime - a.ctime);
  const kept = new Set<Volume>();
  if (rule["keep-all"] === "1") for (const volume of newest) kept.add(volume);
  for (const volume of newest.filter((v) => v.protected !== true).slice(0, Number(rule["keep-last"] ?? 0)))
    kept.add(volume);
  for (const [key, period] of PERIODS) {
    const seen = new Set([...kept].map((volume) => period(new Date(volume.ctime * 1000))));
    let left = Number(rule[key] ?? 0);
    for (const volume of newest) {
      const id = period(new Date(volume.ctime * 1000));
      if (left <= 0 || seen.has(id) || volume.protected === true) continue;
      seen.add(id);
      kept.add(volume);
      left--;
    }
  }
  return newest.map((volume) => ({
    volume,
    mark: volume.protected === true ? "protected" : kept.has(volume) ? "keep" : "remove",
  }));
}

export const pruneCalls: Handlers = {
  "GET /nodes/{node}/storage/{storage}/prunebackups": (call) =>
    marked(call).map(({ volume, mark: what }) => ({
      volid: volume.volid,
      ctime: volume.ctime,
      mark: what,
      type: volume.subtype ?? "unknown",
      ...(volume.vmid !== undefined && { vmid: volume.vmid }),
    })),
  "DELETE /nodes/{node}/storage/{storage}/prunebackups": (call) => {
    const doomed = marked(call).filter((one) => one.mark === "remove");
    const vmid = call.text("vmid");
    const storage = call.need("storage");
    return call.task("prunebackups", vmid === undefined ? storage : `${vmid}@${storage}`, function* () {
      yield call.world.duration("prunebackups");
      for (const { volume } of doomed) freeVolume(call.world, volume.volid, call.node);
    });
  },
};
