import type { Call } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import { addToPool } from "../../pools/members.js";
import type { Guest, Volume } from "../../state/model.js";
import { checkVolumeAccess } from "../../storage/access.js";
import { formatSize, parseSize } from "../../storage/sizes.js";
import { contentTypes, diskFormats, enabledStorage } from "../../storage/storages.js";
import { allocate, findVolume, freeVolume, hasClones } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import { lockedText } from "../common/values.js";
import { makeBases } from "./bases.js";
import { newUuid } from "./clone.js";
import { writeCloudInit } from "./cloud-init.js";
import { logFormatting } from "./disks.js";
import { drive, isCdrom, isCloudInit, isDriveKey, isUnusedKey, printDrive } from "./drives.js";
import { checkGiven, storedKeys } from "./given.js";
import { isNetKey, parseNet, printNet } from "./nets.js";
import { startQemu } from "./power.js";
import { prepareKeys } from "./prepare.js";
import { addUnused, isOwner } from "./unused.js";
import { STATE_KEYS } from "./vmstate.js";

const GIB = 2 ** 30;
const NOT_RESTORED = new Set(["lock", "parent", "snaptime", ...STATE_KEYS]);
const STAYS_BROKEN = "error before or during data restore, some or all disks were not completely restored.";

interface Restoring {
  readonly volume: Volume;
  /** The call's own keys: they win over those of the archive. */
  readonly keys: Readonly<Record<string, string>>;
  readonly other: Guest | undefined;
}

/** POST qemu with `archive`. [BEHAVIOUR section 11] */
export function restoreQemu(call: Call, archive: string, given: Readonly<Record<string, string>>): string {
  const { world, vmid, node } = call;
  for (const key of Object.keys(given).sort())
    if (isDriveKey(key)) refuse({ [key]: "option conflicts with option 'archive'" });
  if (archive === "-") fail("pipe requires cli environment");
  checkVolumeAccess(call, undefined, archive, "backup");
  const volume = findVolume(call.state, archive, node);
  if (volume === undefined) fail(`volume '${archive}' does not exist`);
  const keys = prepareKeys(call, given);
  checkGiven(call, { vmid, pool: call.text("pool") }, keys);
  const other = world.guest(vmid);
  if (other !== undefined) checkPlace(call, other);
  return call.task("qmrestore", vmid, (log) => restore(call, { volume, keys, other }, log));
}

/** Whether an existing VM may be overwritten, as far as the call tells. */
function checkPlace(call: Call, other: Guest): void {
  const { vmid } = other;
  const taken = `unable to restore VM ${vmid} -`;
  if (!call.flag("force") || other.node !== call.node)
    fail(`${taken} VM ${vmid} already exists on node '${other.node}'`);
  if (other.kind !== "qemu") refuse({ vmid: `CT ${vmid} exists` });
  call.world.needLock("qemu", vmid, 5000);
  const locked = lockedText(other);
  if (locked !== undefined) fail(`${taken} ${locked}`);
}

function newGuest(call: Call): Guest {
  const { vmid, node } = call;
  const empty = { config: {}, pending: {}, pendingDelete: {}, snapshots: {} };
  return { vmid, kind: "qemu", node, ...empty, createdAt: call.world.seconds() };
}

function* restore(call: Call, { volume, keys, other }: Restoring, log: TaskLog): Work {
  const { world, vmid, node } = call;
  yield world.guestLock("qemu", vmid, 1000);
  const guest = other ?? newGuest(call);
  guest.config["lock"] = "create";
  if (other === undefined) world.addGuest(guest);
  world.guestChanged(guest);
  const made: string[] = [];
  try {
    if (guest.config["protection"] === "1") fail(`unable to restore VM ${vmid} - protection mode enabled`);
    if (guest.run !== undefined) fail(`unable to restore VM ${vmid} - vm is running`);
    if (call.flag("live-restore"))
      fail("live-restore is only compatible with backup images from a Proxmox Backup Server");
    const config = restoredKeys(call, volume.holds ?? {});
    clearPlace(
      call,
      guest,
      Object.keys(config).filter((key) => isRestoredDrive(key, config[key] ?? "")),
    );
    for (const [key, value] of Object.entries(config))
      if (isRestoredDrive(key, value)) config[key] = restoreDrive(call, { key, value, volume, made, log });
    yield world.duration("qmrestore");
    Object.assign(config, storedKeys(call, keys));
    finish(call, guest, config, log);
  } catch (error) {
    for (const volid of made) freeVolume(world, volid, node);
    log.line(`${STAYS_BROKEN} VM ${vmid} state is NOT cleaned up.`);
    delete guest.config["lock"];
    world.guestChanged(guest);
    throw error;
  }
  if (!call.flag("start")) return;
  log.line("Execute autostart");
  yield world.duration("qmstart");
  startQemu(world, guest);
}

/** A drive that the archive holds the data of, or that is made anew; a CD-ROM is only named. */
const isRestoredDrive = (key: string, value: string): boolean => isDriveKey(key) && !isCdrom(drive(key, value), true);

/** The archive's config: what belonged to the old VM alone is left out, disks without backup become a comment. */
function restoredKeys(call: Call, holds: Readonly<Record<string, string>>): Record<string, string> {
  const { random } = call.world;
  const unique = call.flag("unique");
  const config: Record<string, string> = {};
  const comments: string[] = [];
  for (const [key, value] of Object.entries(holds)) {
    if (NOT_RESTORED.has(key) || isUnusedKey(key)) continue;
    if (isDriveKey(key) && drive(key, value)["backup"] === "0") comments.push(`${key}: ${value}`);
    else if (key === "vmgenid" && value !== "0") config[key] = random.uuid();
    else if (unique && key === "smbios1") config[key] = newUuid(value, random.uuid());
    else if (unique && isNetKey(key)) config[key] = printNet({ ...parseNet(value), macaddr: call.world.mac() });
    else config[key] = value;
  }
  const text = [config["description"], ...comments].filter((line) => line !== undefined);
  if (text.length > 0) config["description"] = text.join("\n");
  return config;
}

/** What the archive brings again goes from an overwritten VM, its snapshots and their states with it. */
function clearPlace(call: Call, guest: Guest, restored: readonly string[]): void {
  const { world } = call;
  const doomed = Object.values(guest.snapshots).map((section) => section["vmstate"]);
  for (const key of restored) {
    const value = guest.config[key];
    if (value !== undefined && isRestoredDrive(key, value)) doomed.push(drive(key, value)["file"]);
  }
  for (const volid of doomed)
    if (volid !== undefined && isOwner(world, guest, volid) && !hasClones(world.state, volid))
      freeVolume(world, volid, guest.node);
  guest.snapshots = {};
}

interface DriveToRestore {
  readonly key: string;
  readonly value: string;
  readonly volume: Volume;
  /** Volumes made so far, for the case that the restore fails. */
  readonly made: string[];
  readonly log: TaskLog;
}

/** A new volume for a drive of the archive: on `storage` or where it was, of its format if that can be. */
function restoreDrive(call: Call, { key, value, volume, made, log }: DriveToRestore): string {
  const { world, node, vmid } = call;
  const parts = drive(key, value);
  const file = parts["file"] ?? "";
  const storage = enabledStorage(world.state, call.text("storage") ?? file.split(":")[0] ?? "", node);
  const name = storage.storage;
  if (!contentTypes(storage).includes("images")) fail(`Content type 'images' is not available on storage '${name}'`);
  call.require(`/storage/${name}`, ["Datastore.AllocateSpace"]);
  const formats = diskFormats(storage);
  const before = /\.(\w+)$/.exec(file)?.[1] ?? "raw";
  const format = formats.includes(before) ? before : (formats[0] ?? "raw");
  const size = parseSize(parts["size"] ?? "") ?? (isCloudInit(parts) ? 4 * 2 ** 20 : GIB);
  const extension = storage.config["path"] === undefined ? "" : `.${format}`;
  const fresh = allocate(world, {
    ...{ storage: name, node, vmid, format, size, bootable: volume.bootable },
    ...(isCloudInit(parts) && { name: `vm-${vmid}-cloudinit${extension}` }),
  });
  made.push(fresh.volid);
  logFormatting({ world, log }, fresh.volid, format, size);
  log.line(`new volume ID is '${fresh.volid}'`);
  return printDrive(key, { ...parts, file: fresh.volid, ...(!isCloudInit(parts) && { size: formatSize(size) }) });
}

/** The config comes into force; volumes that it does not name become unused, a template's disks bases. */
function finish(call: Call, guest: Guest, config: Record<string, string>, log: TaskLog): void {
  const { world, vmid, node } = call;
  const pool = call.text("pool");
  Object.assign(guest, { config, pending: {}, pendingDelete: {}, cloudInit: undefined });
  log.line("rescan volumes...");
  const named = new Set(
    Object.entries(config).map(([key, value]) => (isDriveKey(key) ? drive(key, value)["file"] : "")),
  );
  for (const { volid, content, ...volume } of world.state.volumes) {
    const here = volume.vmid === vmid && (volume.node === undefined || volume.node === node);
    if (here && content === "images" && !named.has(volid) && !/-(cloudinit|state-)/.test(volid))
      addUnused(guest, volid);
  }
  if (config["template"] === "1") {
    log.line("Convert to template.");
    makeBases(world, guest, config);
  }
  writeCloudInit(world, guest);
  if (pool !== undefined) addToPool(world.state, pool, vmid);
  world.guestChanged(guest);
}
