import type { Call } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import { checkVolumeAccess } from "../../storage/access.js";
import { formatSize, humanSize } from "../../storage/sizes.js";
import { diskFormats, enabledStorage, requireImages } from "../../storage/storages.js";
import { allocate, findVolume, locate, pathOf } from "../../storage/volumes.js";
import type { TaskLog } from "../../tasks/runner.js";
import type { Parts } from "../../table/strings.js";
import type { World } from "../../world.js";
import { drive, isCdrom, isCloudInit, isDriveKey, parseDrive, printDrive } from "./drives.js";
import { checkVm, type Scope } from "./permissions.js";

const NEW_DISK = /^([^/:\s]+):(\d+(?:\.\d+)?)$/;
const GIB = 2 ** 30;
const CLOUD_INIT_BYTES = 4 * 2 ** 20;
const TPM_BYTES = 4 * 2 ** 20;

/** @throws 400 where options of a drive contradict each other */
export function checkDriveOptions(key: string, value: string): void {
  if (parseDrive(key, value) === undefined) refuse({ [key]: "unable to parse drive options" });
}

/** PVE's `check_storage_access`: may the caller have these drives; storages of the right content. */
export function checkDrives(call: Call, scope: Scope, params: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(params)) {
    if (!isDriveKey(key)) continue;
    const parts = drive(key, value);
    const file = parts["file"] ?? "";
    if (file === "none") continue;
    if (file === "cdrom") {
      call.require("/", ["Sys.Console"]);
      continue;
    }
    const created = NEW_DISK.exec(file);
    const source = parts["import-from"];
    if (/^[^/:\s]+:cloudinit$/.test(file)) continue;
    if (!isCdrom(parts) && created !== null) checkNewVolume(call, created[1] ?? "");
    else checkExisting(call, { scope, key, parts });
    if (source !== undefined) checkImport(call, { scope, key, parts, source });
  }
}

function checkNewVolume(call: Call, storage: string): void {
  call.require(`/storage/${storage}`, ["Datastore.AllocateSpace"]);
  requireImages(call.state, storage);
}

interface DriveCheck {
  readonly scope: Scope;
  readonly key: string;
  readonly parts: Parts;
}

function checkExisting(call: Call, { scope, key, parts }: DriveCheck): void {
  const file = parts["file"] ?? "";
  if (parts["import-from"] !== undefined) return;
  checkVolumeAccess(call, scope.vmid, file);
  if (file.startsWith("/")) return;
  const { parsed } = locate(call.state, file);
  if (parsed.content === "iso" && !isCdrom(parts))
    refuse({ [key]: "explicit 'media=cdrom' is required for iso images" });
  if (parsed.content !== "images" && parsed.content !== "iso")
    refuse({ [key]: "content type needs to be 'images' or 'iso'" });
}

function checkImport(call: Call, { scope, key, parts, source }: DriveCheck & { readonly source: string }): void {
  const created = NEW_DISK.exec(parts["file"] ?? "");
  if (created === null || Number(created[2]) !== 0)
    refuse({ [key]: "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>" });
  checkVolumeAccess(call, scope.vmid, source);
  if (source.startsWith("/")) return;
  const { parsed } = locate(call.state, source);
  if (parsed.content !== "images" && parsed.content !== "import")
    refuse({ [key]: `${source} has wrong type '${parsed.content}' - needs to be 'images' or 'import'` });
}

/** Privileges by the kind of drive that is set or removed. */
export function checkDriveKind(call: Call, scope: Scope, key: string, value: string): void {
  const parts = drive(key, value);
  if (isCloudInit(parts)) checkVm(call, scope, ["VM.Config.Cloudinit", "VM.Config.CDROM"]);
  else if (isCdrom(parts, true)) checkVm(call, scope, ["VM.Config.CDROM"]);
  else checkVm(call, scope, ["VM.Config.Disk"]);
}

export interface DiskWork {
  readonly world: World;
  readonly node: string;
  readonly vmid: number;
  /** The config they are for: one cloud-init drive only. */
  readonly config: Readonly<Record<string, string>>;
  readonly bios?: string | undefined;
  readonly log: TaskLog;
}

/** PVE's `create_disks`: makes new volumes, completes the others; answers the drives as the config keeps them. */
export function createDisks(work: DiskWork, wanted: Readonly<Record<string, string>>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const key of Object.keys(wanted).filter(isDriveKey).sort()) {
    const parts = drive(key, wanted[key] ?? "");
    out[key] = printDrive(key, createOne(work, { key, parts, wanted, out }));
  }
  return out;
}

interface One {
  readonly key: string;
  readonly parts: Parts;
  readonly wanted: Readonly<Record<string, string>>;
  readonly out: Readonly<Record<string, string>>;
}

function createOne(work: DiskWork, one: One): Parts {
  const { key, parts } = one;
  const file = parts["file"] ?? "";
  if (file === "none" || file === "cdrom") return withoutSize(parts);
  if (/^[^/:\s]+:cloudinit$/.test(file)) return createCloudInit(work, one);
  const created = NEW_DISK.exec(file);
  if (created === null || isCdrom(parts)) return existing(work, key, parts);
  const [, storageName = "", gib = "0"] = created;
  const storage = enabledStorage(work.world.state, storageName, work.node);
  const source = parts["import-from"];
  if (source !== undefined) return importDisk(work, { key, parts, storageName, source });
  const format = parts["format"] ?? diskFormats(storage)[0] ?? "raw";
  const size = firmwareSize(key, parts) ?? Math.floor(Number(gib) * GIB);
  return made(work, { key, parts, storageName, format, size });
}

function withoutSize(parts: Parts): Parts {
  const { size: _size, ...rest } = parts;
  return rest;
}

/** The sizes of UEFI variables and TPM state do not depend on what was asked for. */
function firmwareSize(key: string, parts: Parts): number | undefined {
  if (key === "tpmstate0") return TPM_BYTES;
  if (key !== "efidisk0") return undefined;
  return parts["efitype"] === "4m" ? 540672 : 131072;
}

interface Make {
  readonly key: string;
  readonly parts: Parts;
  readonly storageName: string;
  readonly format: string;
  readonly size: number;
}

function made(work: DiskWork, { key, parts, storageName, format, size }: Make): Parts {
  const volume = allocate(work.world, { storage: storageName, node: work.node, vmid: work.vmid, format, size });
  logFormatting(work, volume.volid, format, size);
  const next: Parts = { ...parts, file: volume.volid, size: formatSize(size) };
  work.log.line(`${key}: successfully created disk '${printDrive(key, next)}'`);
  return next;
}

/** qemu-img's line about a new image file. */
export function logFormatting(
  work: Pick<DiskWork, "world" | "log">,
  volid: string,
  format: string,
  size: number,
): void {
  const located = locate(work.world.state, volid);
  if (located.storage.config["path"] === undefined) {
    work.log.line(`  Logical volume "${located.parsed.name}" created.`);
    return;
  }
  const options: Record<string, string> = {
    qcow2: `cluster_size=65536 extended_l2=off preallocation=metadata compression_type=zlib size=${size} lazy_refcounts=off refcount_bits=16`,
    vmdk: `size=${size} compat6=off hwversion=undefined`,
  };
  const rest = options[format] ?? `size=${size} preallocation=off`;
  work.log.line(`Formatting '${pathOf(located)}', fmt=${format} ${rest}`);
}

function createCloudInit(work: DiskWork, { key, parts, wanted, out }: One): Parts {
  const other = cloudInitSlot({ ...work.config, ...wanted, ...out }, key);
  if (other !== undefined) fail(`${key} - cloud-init drive is already attached at '${other}'`);
  const storageName = (parts["file"] ?? "").split(":")[0] ?? "";
  const storage = enabledStorage(work.world.state, storageName, work.node);
  const file = storage.config["path"] !== undefined;
  const format = parts["format"] ?? (file ? "qcow2" : "raw");
  const name = `vm-${work.vmid}-cloudinit${file ? `.${format}` : ""}`;
  const old = work.world.state.volumes.find(
    (v) => v.vmid === work.vmid && v.volid.endsWith(name) && v.storage === storageName,
  );
  const size = CLOUD_INIT_BYTES;
  const volume =
    old ?? allocate(work.world, { storage: storageName, node: work.node, vmid: work.vmid, format, size, name });
  if (old === undefined) logFormatting(work, volume.volid, format, size);
  const next: Parts = { ...withoutSize(parts), file: volume.volid, media: "cdrom" };
  work.log.line(`${key}: successfully created disk '${printDrive(key, next)}'`);
  return next;
}

/** The slot of another cloud-init drive. */
export function cloudInitSlot(config: Readonly<Record<string, string>>, besides: string): string | undefined {
  return Object.entries(config).find(
    ([key, value]) => key !== besides && isDriveKey(key) && isCloudInit(drive(key, value)),
  )?.[0];
}

/** A volume that is there already: its real size, and no other format than its own. */
function existing(work: DiskWork, key: string, parts: Parts): Parts {
  const file = parts["file"] ?? "";
  if (file.startsWith("/")) fail(`volume ${file} does not exist`);
  const volume = findVolume(work.world.state, file, work.node);
  const { storage, parsed } = locate(work.world.state, file);
  enabledStorage(work.world.state, storage.storage, work.node);
  if (volume === undefined) fail(`volume '${file}' does not exist`);
  const format = parts["format"];
  if (format !== undefined && format !== parsed.format)
    fail(
      `drive '${key}' - volume '${file}' - 'format=${format}' option different from storage format '${parsed.format}'`,
    );
  return isCloudInit(parts) ? withoutSize(parts) : { ...parts, size: formatSize(volume.size) };
}

interface Import {
  readonly key: string;
  readonly parts: Parts;
  readonly storageName: string;
  readonly source: string;
}

function importDisk(work: DiskWork, { key, parts, storageName, source }: Import): Parts {
  const { world, log } = work;
  const storage = enabledStorage(world.state, storageName, work.node);
  if (source.startsWith("/")) fail(`failed to stat '${source}'`);
  const located = locate(world.state, source);
  const origin = findVolume(world.state, source, work.node);
  if (origin === undefined) fail(`failed to stat '${pathOf(located)}'`);
  const owner = located.parsed.vmid === undefined ? undefined : world.guest(located.parsed.vmid);
  const slot =
    owner === undefined ? undefined : Object.entries(owner.config).find(([, value]) => value.startsWith(source))?.[0];
  log.line(`create full clone of drive ${slot === undefined ? "" : `${slot} `}(${source})`);
  const formats = diskFormats(storage);
  const format = parts["format"] ?? (formats.includes(origin.format) ? origin.format : (formats[0] ?? "raw"));
  const size = Number(origin.holds?.["virtual"] ?? origin.size);
  const volume = allocate(world, {
    storage: storageName,
    node: work.node,
    vmid: work.vmid,
    format,
    size,
    bootable: origin.bootable,
    data: origin.used,
  });
  logFormatting(work, volume.volid, format, size);
  log.line(`allocated target volume '${volume.volid}'`);
  logCopy(log, size);
  const next: Parts = { ...parts, file: volume.volid, size: formatSize(size) };
  log.line(`${key}: successfully created disk '${printDrive(key, next)}'`);
  return next;
}

/** First and last line of qemu-img's progress. */
export function logCopy(log: TaskLog, size: number): void {
  log.line(`transferred 0.0 B of ${humanSize(size)} (0.00%)`);
  log.line(`transferred ${humanSize(size)} of ${humanSize(size)} (100.00%)`);
}
