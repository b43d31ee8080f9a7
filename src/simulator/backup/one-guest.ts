import type { Call } from "../call.js";
import { fail } from "../fault.js";
import { partsOfGuest } from "../guests/common/parts.js";
import { lockedText } from "../guests/common/values.js";
import { isMountKey, mountKind, parseMount } from "../guests/lxc/mounts.js";
import { drive, isCdrom, isCloudInit, isDriveKey } from "../guests/qemu/drives.js";
import type { Guest, StorageState } from "../state/model.js";
import { parseSize } from "../storage/sizes.js";
import { hasFeature, isShared } from "../storage/storages.js";
import { findVolume, freeVolume, locate, pathOf } from "../storage/volumes.js";
import { marks } from "../storage/prune-calls.js";
import type { TaskLog, Work } from "../tasks/runner.js";

const ENDINGS: Readonly<Record<string, string>> = { "0": "", "1": ".lzo", gzip: ".gz", lzo: ".lzo", zstd: ".zst" };
const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** Every archive is so large. */
const ARCHIVE_BYTES = 64 * MIB;
const DEFAULT_IONICE = 7;

interface Backup {
  readonly guest: Guest;
  readonly storage: StorageState;
  readonly log: TaskLog;
}

/** `2026-01-02 03:04:05`, or with other separators: the simulated nodes log in UTC. */
function stamp(call: Call, day: string, between: string, time: string): string {
  const [date = "", clock = ""] = new Date(call.world.clock.now()).toISOString().split("T");
  return `${date.replaceAll("-", day)}${between}${clock.slice(0, 8).replaceAll(":", time)}`;
}

export const localTime = (call: Call): string => stamp(call, "-", " ", ":");

/** The backup of one guest with PVE's log. [BEHAVIOUR section 4] @throws what is wrong with this guest */
export function* backUpOne(call: Call, { guest, storage, log }: Backup): Work {
  const { world } = call;
  const began = world.clock.now();
  const say = (text: string): void => log.line(`INFO: ${text}`);
  say(`Starting Backup of VM ${guest.vmid} (${guest.kind})`);
  say(`Backup started at ${localTime(call)}`);
  say(`status = ${guest.run === undefined ? "stopped" : "running"}`);
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
  guest.config["lock"] = "backup";
  world.guestChanged(guest);
  try {
    announce(call, guest, say);
    const volid = archiveName(call, guest, storage);
    say(`creating vzdump archive '${pathOf(locate(call.state, volid))}'`);
    const size = diskBytes(guest);
    if (guest.kind === "qemu") {
      if (guest.run === undefined) say("starting kvm to execute backup task");
      say(`started backup task '${world.random.uuid()}'`);
    }
    yield world.duration("vzdump");
    report(guest, { size, seconds: secondsSince(call, began) }, say);
    store(call, { guest, storage, log }, { volid, ctime: Math.floor(began / 1000) });
  } finally {
    delete guest.config["lock"];
    world.guestChanged(guest);
  }
  prune(call, guest, storage, say);
  const seconds = secondsSince(call, began);
  const two = (value: number): string => String(value).padStart(2, "0");
  const took = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  say(`Finished Backup of VM ${guest.vmid} (${took})`);
  say(`Backup finished at ${localTime(call)}`);
}

type Say = (text: string) => void;

const secondsSince = ({ world }: Call, began: number): number =>
  Math.max(1, Math.round(((world.clock.now() - began) / 1000) * world.speed));

/** What goes into the archive, and how. */
function announce(call: Call, guest: Guest, say: Say): void {
  const { config, kind } = guest;
  const isVm = kind === "qemu";
  say(`${isVm ? "VM" : "CT"} Name: ${config["name"] ?? config["hostname"] ?? `${isVm ? "VM" : "CT"} ${guest.vmid}`}`);
  for (const [key, value] of Object.entries(config)) {
    if (isVm && isDriveKey(key)) announceDisk(key, value, say);
    if (!isVm && isMountKey(key)) announceMount(key, value, say);
  }
  say(`backup mode: ${modeOf(call, guest, say)}`);
  if (call.int("bwlimit")) say(`bandwidth limit: ${call.need("bwlimit")} KiB/s`);
  say(`ionice priority: ${call.int("ionice") ?? DEFAULT_IONICE}`);
}

function announceDisk(key: string, value: string, say: Say): void {
  const parts = drive(key, value);
  if (isCdrom(parts) && !isCloudInit(parts)) return;
  const size = parts["size"] === undefined ? "" : ` ${parts["size"]}`;
  if (parts["backup"] === "0") say(`exclude disk '${key}' '${parts["file"] ?? ""}' (backup=no)`);
  else say(`include disk '${key}' '${parts["file"] ?? ""}'${size}`);
}

/** A mount point is in the backup only where it says so; the root always is. */
function announceMount(key: string, value: string, say: Say): void {
  const mount = parseMount(key, value);
  const at = `mount point ${key} ('${key === "rootfs" ? "/" : (mount["mp"] ?? "")}')`;
  const kind = mountKind(mount["volume"] ?? "");
  if (key === "rootfs" || (kind === "volume" && mount["backup"] === "1")) say(`including ${at} in backup`);
  else say(`excluding ${kind} ${at} from backup (${kind === "volume" ? "disabled" : "not a volume"})`);
}

/** What is stopped is backed up as such; containers whose volumes take no snapshots are suspended. */
function modeOf(call: Call, guest: Guest, say: Say): string {
  if (guest.run === undefined) return "stop";
  const mode = call.text("mode") ?? "snapshot";
  if (mode !== "snapshot" || guest.kind === "qemu") return mode;
  const all = partsOfGuest(guest).every(({ volid }) => {
    const { storage, parsed } = locate(call.state, volid);
    return hasFeature(storage, "snapshot", parsed);
  });
  if (all) return mode;
  say("mode failure - some volumes do not support snapshots");
  say("trying 'suspend' mode instead");
  return "suspend";
}

/** Bytes of the disks that the archive of a VM has. */
function diskBytes({ config }: Guest): number {
  let total = 0;
  for (const [key, value] of Object.entries(config)) {
    if (!isDriveKey(key)) continue;
    const parts = drive(key, value);
    if (!isCdrom(parts) && parts["backup"] !== "0") total += parseSize(parts["size"] ?? "") ?? 0;
  }
  return total;
}

const gib = (bytes: number): string =>
  bytes < GIB ? `${(bytes / MIB).toFixed(1)} MiB` : `${(bytes / GIB).toFixed(1)} GiB`;
const gib2 = (bytes: number): string =>
  bytes < GIB ? `${(bytes / MIB).toFixed(2)} MiB` : `${(bytes / GIB).toFixed(2)} GiB`;

interface Transfer {
  readonly size: number;
  readonly seconds: number;
}

/** The figures at the end of the copying. */
function report(guest: Guest, { size, seconds }: Transfer, say: Say): void {
  if (guest.kind === "qemu") {
    const data = Math.min(size, ARCHIVE_BYTES);
    const rates = `read: ${gib(size / seconds)}/s, write: ${gib(data / seconds)}/s`;
    say(`100% (${gib(size)} of ${gib(size)}) in ${seconds}s, ${rates}`);
    const zeros = size - data;
    if (zeros > 0) say(`backup is sparse: ${gib2(zeros)} (${Math.floor((zeros / size) * 100)}%) total zero data`);
    say(`transferred ${gib2(size)} in ${seconds} seconds (${gib(size / seconds)}/s)`);
    if (guest.run === undefined) say("stopping kvm after backup task");
  }
  say(`archive file size: ${ARCHIVE_BYTES / MIB}MB`);
}

function archiveName(call: Call, guest: Guest, storage: StorageState): string {
  const format = `${guest.kind === "qemu" ? "vma" : "tar"}${ENDINGS[call.text("compress") ?? "0"] ?? ""}`;
  const name = `vzdump-${guest.kind}-${guest.vmid}-${stamp(call, "_", "-", "_")}.${format}`;
  return `${storage.storage}:backup/${name}`;
}

function notesOf(call: Call, { config, vmid }: Guest): string | undefined {
  return call
    .text("notes-template")
    ?.replaceAll("\\n", "\n")
    .replaceAll("\\\\", "\\")
    .replaceAll("{{cluster}}", call.state.cluster.name ?? "standalone node - no cluster")
    .replaceAll("{{guestname}}", config["name"] ?? config["hostname"] ?? "")
    .replaceAll("{{vmid}}", String(vmid))
    .replaceAll("{{node}}", call.node);
}

/** The time of an archive is that of its name: when the backup began. */
interface Archive {
  readonly volid: string;
  readonly ctime: number;
}

function store(call: Call, { guest, storage, log }: Backup, { volid, ctime }: Archive): void {
  const notes = notesOf(call, guest);
  const { lock: _lock, ...holds } = guest.config;
  const bootable = partsOfGuest(guest).some((part) => {
    return !part.cdrom && findVolume(call.state, part.volid, guest.node)?.bootable === true;
  });
  call.state.volumes.push({
    volid,
    storage: storage.storage,
    ...(!isShared(storage) && { node: call.node }),
    content: "backup",
    format: volid.replace(/^.*?\.(vma|tar)/, "$1"),
    size: ARCHIVE_BYTES,
    used: ARCHIVE_BYTES,
    vmid: guest.vmid,
    subtype: guest.kind,
    ctime,
    holds,
    ...(bootable && { bootable }),
    ...(notes !== undefined && { notes }),
    ...(call.flag("protected") && { protected: true }),
  });
  call.world.changed();
  if (notes !== undefined) log.line("INFO: adding notes to backup");
  if (call.flag("protected")) log.line("INFO: marking backup as protected");
}

/** What the retention no longer covers goes, unless `remove` is off. */
function prune(call: Call, guest: Guest, storage: StorageState, say: Say): void {
  const rule = call.text("prune-backups") ?? storage.config["prune-backups"];
  if (rule === undefined || /keep-all=1/.test(rule) || !call.flag("remove", true)) return;
  say(`prune older backups with retention: ${rule.split(",").join(", ")}`);
  const { vmid, kind } = guest;
  const doomed = marks(call, { storage: storage.storage, rule, vmid, type: kind }).filter(
    ({ mark }) => mark === "remove",
  );
  for (const { volume } of doomed) freeVolume(call.world, volume.volid, call.node);
  say(`pruned ${doomed.length} backup(s) not covered by keep-retention policy`);
}
