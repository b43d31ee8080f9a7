import type { Call, Handlers } from "../call.js";
import { deny, fail, faultText, refuse } from "../fault.js";
import { lockedText } from "../guests/common/values.js";
import type { Document, Guest, StorageState } from "../state/model.js";
import { checkVolumeAccess } from "../storage/access.js";
import { contentTypes, enabledStorage, isShared, storageOf } from "../storage/storages.js";
import { findVolume, locate, pathOf } from "../storage/volumes.js";
import type { TaskLog, Work } from "../tasks/runner.js";
import { selected } from "./jobs.js";
import { backupTarget, checkOptionRights, selectionFault } from "./parameters.js";

const ENDINGS: Readonly<Record<string, string>> = { "0": "", "1": ".lzo", gzip: ".gz", lzo: ".lzo", zstd: ".zst" };

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
  const guests = selected(call, job).filter(
    // a backup of all leaves out silently what the caller may not back up
    (guest) => guest.node === call.node && (named.length > 0 || mayBackUp(call, guest)),
  );
  if (guests.length === 0 && unknown.length === 0) return "OK";
  const ids = [...unknown, ...guests.map((guest) => guest.vmid)];
  return call.task("vzdump", ids.length === 1 ? String(ids[0]) : "", (log) =>
    backUp(call, { guests, unknown, name }, log),
  );
}

const mayBackUp = (call: Call, guest: Guest): boolean => call.holds(`/vms/${guest.vmid}`, ["VM.Backup"]);

interface Plan {
  readonly guests: readonly Guest[];
  readonly unknown: readonly number[];
  readonly name: string;
}

function* backUp(call: Call, { guests, unknown, name }: Plan, log: TaskLog): Work {
  for (const guest of guests) if (!mayBackUp(call, guest)) deny(`/vms/${guest.vmid}, VM.Backup`);
  const storage = backupStorage(call, name);
  const ids = [...unknown, ...guests.map((guest) => guest.vmid)].join(" ");
  log.line(`INFO: starting new backup job: vzdump ${ids} --storage ${name} --node ${call.node}`);
  let failed = false;
  const complain = (vmid: number, text: string): void => {
    failed = true;
    log.line(`ERROR: Backup of VM ${vmid} failed - ${text}`);
  };
  for (const vmid of unknown) complain(vmid, `unable to find VM '${vmid}'`);
  for (const guest of guests) {
    log.line(`INFO: Starting Backup of VM ${guest.vmid} (${guest.kind})`);
    const locked = lockedText(guest);
    if (locked !== undefined) {
      complain(guest.vmid, locked);
      continue;
    }
    guest.config["lock"] = "backup";
    call.world.guestChanged(guest);
    try {
      yield call.world.duration("vzdump");
    } finally {
      delete guest.config["lock"];
      call.world.guestChanged(guest);
    }
    store(call, guest, storage, log);
  }
  log.line(`INFO: Backup job finished ${failed ? "with errors" : "successfully"}`);
  if (failed) fail("job errors");
}

const pad = (value: number): string => String(value).padStart(2, "0");

function store(call: Call, guest: Guest, storage: StorageState, log: TaskLog): void {
  const time = new Date(call.world.clock.now());
  const day = `${time.getUTCFullYear()}_${pad(time.getUTCMonth() + 1)}_${pad(time.getUTCDate())}`;
  const stamp = `${day}-${pad(time.getUTCHours())}_${pad(time.getUTCMinutes())}_${pad(time.getUTCSeconds())}`;
  const format = `${guest.kind === "qemu" ? "vma" : "tar"}${ENDINGS[call.text("compress") ?? "0"] ?? ""}`;
  const volid = `${storage.storage}:backup/vzdump-${guest.kind}-${guest.vmid}-${stamp}.${format}`;
  const { vmid } = guest;
  const template = call.text("notes-template");
  const name = guest.config["name"] ?? guest.config["hostname"] ?? "";
  const notes = template
    ?.replaceAll("\\n", "\n")
    .replaceAll("\\\\", "\\")
    .replaceAll("{{cluster}}", call.state.cluster.name ?? "standalone node - no cluster")
    .replaceAll("{{guestname}}", name)
    .replaceAll("{{vmid}}", String(vmid))
    .replaceAll("{{node}}", call.node);
  const size = 64 * 2 ** 20;
  log.line(`INFO: creating vzdump archive '${pathOf(locate(call.state, volid))}'`);
  call.state.volumes.push({
    volid,
    storage: storage.storage,
    ...(!isShared(storage) && { node: call.node }),
    content: "backup",
    format,
    size,
    used: size,
    vmid,
    subtype: guest.kind,
    ctime: call.world.seconds(),
    holds: { ...guest.config },
    ...(notes !== undefined && { notes }),
    ...(call.flag("protected") && { protected: true }),
  });
  call.world.changed();
  log.line(`INFO: Finished Backup of VM ${vmid} (00:00:01)`);
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
