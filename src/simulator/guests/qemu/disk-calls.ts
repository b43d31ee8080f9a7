import type { Call, Handlers } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { formatSize, parseSize } from "../../storage/sizes.js";
import { diskFormats, enabledStorage, hasFeature, requireImages } from "../../storage/storages.js";
import { allocate, findVolume, freeVolume, locate, reassign } from "../../storage/volumes.js";
import type { TaskLog } from "../../tasks/runner.js";
import { computeDigest, lockedText } from "../common/values.js";
import { makeBases } from "./bases.js";
import { logCopy, logFormatting } from "./disks.js";
import { bootOrder, drive, isCdrom, isUnusedKey, printBoot, printDrive } from "./drives.js";
import { applyPending } from "./hotplug.js";
import { rootOnly } from "./permissions.js";
import { addUnused, dropUsedUnused, isInUse, registerUnused } from "./unused.js";

/** PUT resize: every check is in the task. [BEHAVIOUR section 7] */
function resize(call: Call): string {
  const { world, vmid, node } = call;
  rootOnly(call, "skiplock");
  const key = call.need("disk");
  const digest = call.text("digest");
  const wanted = call.need("size");
  const skiplock = call.flag("skiplock");
  return call.task("resize", vmid, function* (log) {
    const guest = world.findGuest("qemu", node, vmid);
    yield world.guestLock("qemu", vmid);
    if (digest !== undefined && digest !== world.digest(guest, computeDigest))
      fail("checksum mismatch (file change by other user?)");
    const locked = lockedText(guest);
    if (locked !== undefined && !skiplock) fail(locked);
    const value = guest.config[key];
    if (value === undefined) fail(`disk '${key}' does not exist`);
    const parts = drive(key, value);
    const volid = parts["file"] ?? "";
    const { storage } = locate(world.state, volid);
    if (isCdrom(parts)) fail("you can't resize a cdrom");
    call.require(`/storage/${storage.storage}`, ["Datastore.AllocateSpace"]);
    const volume = findVolume(world.state, volid, node);
    if (volume === undefined) fail(`volume '${volid}' does not exist`);
    const size = newSize(volume.size, wanted);
    if (size < volume.size) fail("shrinking disks is not supported");
    if (size === volume.size) return;
    world.claimSpace(storage.storage, size - volume.size);
    yield world.duration("resize");
    volume.size = size;
    log.line("Image resized.");
    guest.config[key] = printDrive(key, { ...parts, size: formatSize(size) });
    world.guestChanged(guest);
  });
}

/** `+1G` adds, `3G` is absolute; rounded up to whole KiB. */
export function newSize(now: number, wanted: string): number {
  const bytes = parseSize(wanted.replace(/^\+/, "")) ?? 0;
  return Math.ceil((wanted.startsWith("+") ? now + bytes : bytes) / 1024) * 1024;
}

function move(call: Call): string {
  const { world, vmid, node } = call;
  const storage = call.text("storage");
  const target = call.int("target-vmid");
  if (storage !== undefined && target !== undefined) {
    const text = "either set 'storage' or 'target-vmid', but not both";
    refuse({ storage: text, "target-vmid": text });
  }
  if (storage === undefined && target === undefined) {
    const text = "both 'storage' and 'target-vmid' missing, either needs to be set";
    refuse({ storage: text, "target-vmid": text });
  }
  if (target !== undefined) return moveToGuest(call, target);
  const key = call.need("disk");
  const to = storage ?? "";
  call.require(`/storage/${to}`, ["Datastore.AllocateSpace"]);
  const guest = world.findGuest("qemu", node, vmid);
  world.needLock("qemu", vmid);
  checkMove(call, guest);
  const value = guest.config[key];
  if (value === undefined) fail(`disk '${key}' does not exist`);
  const parts = drive(key, value);
  const volid = parts["file"] ?? "";
  if (isCdrom(parts)) fail("you can't move a cdrom");
  enabledStorage(call.state, to, node);
  requireImages(call.state, to);
  const from = locate(call.state, volid);
  const format = call.text("format");
  if (from.storage.storage === to && (format === undefined || format === from.parsed.format))
    fail("you can't move to the same storage with same format");
  const remove = call.flag("delete");
  if (remove && isInUse({ ...guest, config: {} }, key, volid))
    fail("you can't move a disk with snapshots and delete the source");
  return call.task("qmmove", vmid, function* (log) {
    yield world.guestLock("qemu", vmid);
    log.line(`copying volume '${volid}' from current storage '${from.storage.storage}' to target storage '${to}'`);
    log.line(`create full clone of drive ${key} (${volid})`);
    const volume = findVolume(world.state, volid, node);
    if (volume === undefined) fail(`storage migration failed: volume '${volid}' does not exist`);
    const formats = diskFormats(requireImages(world.state, to));
    const wanted = format ?? volume.format;
    const used = formats.includes(wanted) ? wanted : (formats[0] ?? "raw");
    const next = allocate(world, {
      storage: to,
      node,
      vmid,
      format: used,
      size: volume.size,
      bootable: volume.bootable,
      data: volume.used,
    });
    try {
      logFormatting({ world, log }, next.volid, used, next.size);
      log.line(`allocated target volume '${next.volid}'`);
      logCopy(log, next.size);
      yield world.duration("qmmove") * Math.max(0.1, Math.min(10, next.size / 2 ** 30));
    } catch (error) {
      freeVolume(world, next.volid, node);
      throw error;
    }
    guest.config[key] = printDrive(key, { ...parts, file: next.volid, size: formatSize(next.size) });
    leaveSource(call, guest, { volid, remove, log });
    world.guestChanged(guest);
  });
}

function checkMove(call: Call, guest: Guest): void {
  const digest = call.text("digest");
  if (digest !== undefined && digest !== call.world.digest(guest, computeDigest))
    fail("detected modified configuration - file changed by other user? Try again.");
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
}

interface Source {
  readonly volid: string;
  readonly remove: boolean;
  readonly log: TaskLog;
}

function leaveSource(call: Call, guest: Guest, { volid, remove, log }: Source): void {
  if (remove) {
    log.line(`removing source volume '${volid}' after successful copy`);
    freeVolume(call.world, volid, guest.node);
    return;
  }
  const key = addUnused(guest, volid);
  log.line(`adding source volume '${volid}' as '${key ?? ""}' to config`);
}

function moveToGuest(call: Call, target: number): string {
  const { world, vmid, node } = call;
  const key = call.need("disk");
  const slot = call.text("target-disk") ?? key;
  call.require(`/vms/${target}`, ["VM.Config.Disk"]);
  if (target === vmid) refuse({ "target-vmid": "must be different than source VMID to reassign disk" });
  const source = world.findGuest("qemu", node, vmid);
  const other = world.guest(target);
  if (other?.kind !== "qemu") fail(`could not find target VM ${target}`);
  if (other.node !== node) fail(`Both VMs need to be on the same node (${node} != ${other.node})`);
  checkMove(call, source);
  const locked = lockedText(other);
  if (locked !== undefined) fail(locked);
  if (source.config["template"] === "1" || other.config["template"] === "1")
    fail("Can't move disks from or to template VMs");
  const value = source.config[key];
  if (value === undefined) fail(`Disk '${key}' for VM '${vmid}' does not exist`);
  if (other.config[slot] !== undefined) fail(`Target disk key '${slot}' is already in use for VM '${target}'`);
  if (source.run !== undefined && !isUnusedKey(key))
    fail("Cannot move disk to another VM while the source VM is running - detach first");
  const { storage } = locate(call.state, drive(key, value)["file"] ?? "");
  if (!hasFeature(storage, "copy", { format: "raw", isBase: false })) fail("cannot reassign disk");
  return call.task("qmmove", `${vmid}-${key}>${target}-${slot}`, function* (log) {
    yield world.guestLock("qemu", vmid);
    yield world.guestLock("qemu", target);
    yield world.duration("qmmove") / 3;
    reassignDisk(call, { source, other, key, slot, value, log });
  });
}

interface Reassign {
  readonly source: Guest;
  readonly other: Guest;
  readonly key: string;
  readonly slot: string;
  readonly value: string;
  readonly log: TaskLog;
}

function reassignDisk(call: Call, { source, other, key, slot, value, log }: Reassign): void {
  const { world } = call;
  log.line(`reassign disk '${key}' from VM '${source.vmid}' as '${slot}' to VM '${other.vmid}'`);
  const parts = drive(key, value);
  const order = bootOrder(source.config);
  if (order.includes(key)) {
    log.line(`removing disk '${key}' from boot order config`);
    source.config["boot"] = printBoot(order.filter((device) => device !== key));
  }
  delete source.config[key];
  log.line(`removing disk '${key}' from VM '${source.vmid}' config`);
  const volid = reassign(world, parts["file"] ?? "", source.node, other.vmid);
  if (isUnusedKey(slot)) other.config[slot] = volid;
  else {
    const size = findVolume(world.state, volid, source.node)?.size ?? 0;
    const printed = printDrive(slot, { ...parts, file: volid, size: formatSize(size) });
    log.line(`update VM ${other.vmid}: -${slot} ${printed}`);
    other.pending[slot] = printed;
    applyPending({ world, guest: other, destroy: (one) => registerUnused(world, other, one, other.config[one] ?? "") });
  }
  dropUsedUnused(other);
  world.guestChanged(source);
  world.guestChanged(other);
}

function template(call: Call): string {
  const { world, vmid, node } = call;
  const guest = world.findGuest("qemu", node, vmid);
  world.needLock("qemu", vmid);
  const locked = lockedText(guest);
  if (Object.keys(guest.snapshots).length > 0) fail("unable to create template, because VM contains snapshots");
  if (locked !== undefined) fail(locked);
  const disk = call.text("disk");
  if (guest.config["template"] === "1" && disk === undefined) fail("you can't convert a template to a template");
  if (guest.run !== undefined) fail("you can't convert a VM to template if VM is running");
  return call.task("qmtemplate", vmid, function* () {
    yield world.guestLock("qemu", vmid);
    yield world.duration("qmtemplate");
    makeBases(world, guest, guest.config, disk);
    guest.config["template"] = "1";
    world.guestChanged(guest);
  });
}

export const diskCalls: Handlers = {
  "PUT /nodes/{node}/qemu/{vmid}/resize": resize,
  "POST /nodes/{node}/qemu/{vmid}/move_disk": move,
  "POST /nodes/{node}/qemu/{vmid}/template": template,
};
