import type { Call, Handlers } from "../call.js";
import { deny, fail, faultText, refuse } from "../fault.js";
import type { Document, Guest, StorageState } from "../state/model.js";
import { checkVolumeAccess } from "../storage/access.js";
import { contentTypes, enabledStorage, storageOf } from "../storage/storages.js";
import { findVolume } from "../storage/volumes.js";
import { Interrupted, type TaskLog, type Work } from "../tasks/runner.js";
import { selected } from "./jobs.js";
import { backUpOne, localTime } from "./one-guest.js";
import { backupTarget, checkOptionRights, selectionFault } from "./parameters.js";

/** What the storage of a backup must be; the texts are the task's. */
function backupStorage(call: Call, name: string): StorageState {
  let trouble = "";
  try {
    enabledStorage(call.state, name, call.node);
  } catch (error) {
    trouble = `could not activate storage '${name}': ${faultText(error)}`;
  }
  const known = call.state.storages[name];
  const wrong =
    known === undefined
      ? `storage '${name}' does not exist`
      : contentTypes(known).includes("backup")
        ? undefined
        : `can't use storage '${name}' for backups - wrong content type`;
  if (wrong !== undefined)
    fail(`${trouble === "" ? "" : `${trouble}\n`}could not get storage information for '${name}': ${wrong}`);
  if (trouble !== "") fail(trouble);
  return storageOf(call.state, name);
}

/** POST vzdump: one task for all guests; which of them fail is in its log. */
function vzdump(call: Call): string {
  if (call.has("stdout")) refuse({ stdout: "option is only allowed on the command line interface." });
  checkOptionRights(call);
  const name = backupTarget(call);
  if (call.has("prune-backups")) call.require(`/storage/${name}`, ["Datastore.Allocate"]);
  const job: Document = {};
  for (const key of ["vmid", "pool", "exclude", "all", "notes-template"]) if (call.has(key)) job[key] = call.need(key);
  const wrong = selectionFault(job, call.flag("stop"));
  if (wrong !== undefined) refuse(wrong);
  if (call.flag("stop")) {
    call.require(`/nodes/${call.node}`, ["Sys.Modify"]);
    for (const task of call.state.tasks)
      if (task.type === "vzdump" && task.status === undefined) call.world.tasks.stop(task.upid);
    if (job["vmid"] === undefined) return "OK";
  }
  call.require(`/storage/${name}`, ["Datastore.AllocateSpace"]);
  const named = call.list("vmid").map(Number);
  const unknown = named.filter((vmid) => call.world.guest(vmid) === undefined);
  // a backup of all leaves out silently what the caller may not back up
  const meant = selected(call, job).filter((guest) => named.length > 0 || mayBackUp(call, guest));
  const guests = meant.filter((guest) => guest.node === call.node);
  const elsewhere = meant.filter((guest) => guest.node !== call.node).map(({ vmid }) => vmid);
  if (guests.length === 0 && unknown.length === 0) return "OK";
  const ids = [...unknown, ...guests.map((guest) => guest.vmid)];
  return call.task("vzdump", ids.length === 1 ? String(ids[0]) : "", (log) =>
    backUp(call, { guests, unknown, elsewhere, name }, log),
  );
}

const mayBackUp = (call: Call, guest: Guest): boolean => call.holds(`/vms/${guest.vmid}`, ["VM.Backup"]);

interface Plan {
  readonly guests: readonly Guest[];
  readonly unknown: readonly number[];
  /** Asked for, but on other nodes. */
  readonly elsewhere: readonly number[];
  readonly name: string;
}

function* backUp(call: Call, { guests, unknown, elsewhere, name }: Plan, log: TaskLog): Work {
  for (const guest of guests) if (!mayBackUp(call, guest)) deny(`/vms/${guest.vmid}, VM.Backup`);
  const storage = backupStorage(call, name);
  for (const line of `starting new backup job: ${commandLine(call)}`.split("\n")) log.line(`INFO: ${line}`);
  if (elsewhere.length > 0) log.line(`INFO: skip external VMs: ${elsewhere.join(", ")}`);
  let failed = false;
  const complain = (vmid: number, text: string): void => {
    failed = true;
    log.line(`ERROR: Backup of VM ${vmid} failed - ${text}`);
    log.line(`INFO: Failed at ${localTime(call)}`);
  };
  for (const vmid of unknown) complain(vmid, `unable to find VM '${vmid}'`);
  for (const guest of guests) {
    try {
      yield* backUpOne(call, { guest, storage, log });
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      complain(guest.vmid, faultText(error));
    }
  }
  log.line(`INFO: Backup job finished ${failed ? "with errors" : "successfully"}`);
  if (failed) fail("job errors");
}

/** The options of the call, as the command would take them. */
function commandLine(call: Call): string {
  const words = ["vzdump", ...call.list("vmid")];
  const keys = Object.keys(call.params).filter((key) => !["vmid", "node", "mode"].includes(key));
  for (const key of [...(call.has("mode") ? ["mode"] : []), ...keys, "node"]) {
    const value = call.need(key);
    if (value !== "")
      words.push(`--${key} ${/^[\w\-=+.,:@/]+$/.test(value) ? value : `'${value.replaceAll("'", `'"'"'`)}'`}`);
  }
  return words.join(" ");
}

function defaults(call: Call): unknown {
  const name = backupTarget(call);
  call.require(`/storage/${name}`, ["Datastore.Audit", "Datastore.AllocateSpace"], true);
  const storage = storageOf(call.state, name);
  if (!contentTypes(storage).includes("backup")) fail(`can't use storage '${name}' for backups - wrong content type`);
  return {
    all: 0,
    bwlimit: 0,
    compress: "0",
    dumpdir: `${storage.config["path"] ?? ""}/dump`,
    fleecing: { enabled: 0 },
    ionice: 7,
    lockwait: 180,
    mailnotification: "always",
    mode: "snapshot",
    "notification-mode": "auto",
    performance: { "max-workers": 16, "pbs-entries-max": 1_048_576 },
    pigz: 0,
    "prune-backups": storage.config["prune-backups"] ?? "keep-all=1",
    quiet: 0,
    remove: 1,
    stdexcludes: 1,
    stop: 0,
    stopwait: 10,
    storage: name,
    zstd: 1,
  };
}

function extractConfig(call: Call): string {
  const volid = call.need("volume");
  checkVolumeAccess(call, undefined, volid, "backup");
  const volume = findVolume(call.state, volid, call.node);
  if (volume === undefined) fail(`volume '${volid}' does not exist`);
  return Object.entries(volume.holds ?? {})
    .map(([key, value]) => `${key}: ${value}\n`)
    .join("");
}

export const vzdumpCalls: Handlers = {
  "POST /nodes/{node}/vzdump": vzdump,
  "GET /nodes/{node}/vzdump/defaults": defaults,
  "GET /nodes/{node}/vzdump/extractconfig": extractConfig,
};
