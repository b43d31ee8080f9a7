import type { Call, Handlers } from "../../call.js";
import { ApiFault, fail, refuse } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { formatSize } from "../../storage/sizes.js";
import { contentTypes, enabledStorage } from "../../storage/storages.js";
import { allocate, findVolume, freeVolume, hasClones, locate, makeBase, pathOf } from "../../storage/volumes.js";
import { forgetGuest, purgeGuest } from "../common/purge.js";
import { computeDigest, lockedText } from "../common/values.js";
import { newSize } from "../qemu/disk-calls.js";
import { isUnused, mountKind, mountsOf, parseMount, printMount } from "./mounts.js";
import { haltLxc } from "./power.js";
import { addUnusedVolume, logFilesystem, ownsVolume } from "./volumes.js";

const find = (call: Call): Guest => call.world.findGuest("lxc", call.node, call.vmid);

function checkDigest(call: Call, guest: Guest): void {
  const digest = call.text("digest");
  if (digest !== undefined && digest !== call.world.digest(guest, computeDigest))
    fail("detected modified configuration - file changed by other user? Try again.");
}

function checkLocked(guest: Guest): void {
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
}

/** PVE takes a missing mount point apart as an empty text, and shows what its parser says. */
const noMount = (): ApiFault =>
  new ApiFault(500, "format error", {
    volume: "property is missing and it is not optional",
    mp: "property is missing and it is not optional",
  });

/** PUT resize: the size is checked in the call; only the work is a task. */
function resize(call: Call): string {
  const { world } = call;
  const key = call.need("disk");
  const guest = find(call);
  world.needLock("lxc", guest.vmid);
  checkLocked(guest);
  checkDigest(call, guest);
  const value = guest.config[key];
  if (value === undefined) throw noMount();
  const mount = parseMount(key, value);
  const volid = mount["volume"] ?? "";
  if (mountKind(volid) !== "volume") fail(`can't resize mount point owned by another container (${guest.vmid})`);
  const { storage, parsed } = locate(call.state, volid);
  if (parsed.vmid !== guest.vmid) fail(`can't resize mount point owned by another container (${parsed.vmid ?? 0})`);
  call.require(`/storage/${storage.storage}`, ["Datastore.AllocateSpace"]);
  const volume = findVolume(call.state, volid, guest.node);
  if (volume === undefined) fail(`volume '${volid}' does not exist`);
  const size = newSize(volume.size, call.need("size"));
  if (size < volume.size) fail("unable to shrink disk size");
  if (size === volume.size) fail("disk is already at specified size");
  return call.task("resize", guest.vmid, function* (log) {
    yield world.guestLock("lxc", guest.vmid);
    world.claimSpace(storage.storage, size - volume.size);
    yield world.duration("resize");
    volume.size = size;
    log.line("Image resized.");
    guest.config[key] = printMount(key, { ...mount, size: formatSize(size) });
    world.guestChanged(guest);
  });
}

function moveVolume(call: Call): string {
  const { world } = call;
  const key = call.need("volume");
  const to = call.text("storage");
  const targetId = call.int("target-vmid");
  if (to !== undefined && targetId !== undefined) {
    const text = "either set 'storage' or 'target-vmid', but not both";
    refuse({ storage: text, "target-vmid": text });
  }
  if (to === undefined)
    return refuse({
      storage: "both 'storage' and 'target-vmid' missing, either needs to be set",
      "target-vmid": "both 'storage' and 'target-vmid' missing, either needs to be set",
    });
  call.require(`/storage/${to}`, ["Datastore.AllocateSpace"]);
  const guest = find(call);
  world.needLock("lxc", guest.vmid);
  checkLocked(guest);
  checkDigest(call, guest);
  if (guest.run !== undefined) fail("cannot move volumes of a running container");
  const value = guest.config[key];
  if (value === undefined) fail(`cannot move volume '${key}', only configured volumes can be moved to another storage`);
  const mount = parseMount(key, value);
  const volid = mount["volume"] ?? "";
  const storage = enabledStorage(call.state, to, guest.node);
  if (volid.split(":")[0] === to) fail(`you can't move a volume to the same storage`);
  if (!contentTypes(storage).includes("rootdir")) fail(`storage '${to}' does not support content type 'rootdir'`);
  const remove = call.flag("delete");
  return call.task("move_volume", guest.vmid, function* (log) {
    yield world.guestLock("lxc", guest.vmid);
    const origin = findVolume(world.state, volid, guest.node);
    if (origin === undefined) fail(`volume '${volid}' does not exist`);
    const at = { storage: to, node: guest.node, vmid: guest.vmid, format: origin.format, size: origin.size };
    const next = allocate(world, { ...at, content: "rootdir", data: origin.used });
    if (origin.format === "raw") logFilesystem({ world, log }, next.volid, next.size);
    yield world.duration("qmmove");
    guest.config[key] = printMount(key, { ...mount, volume: next.volid, size: formatSize(next.size) });
    if (remove) freeVolume(world, volid, guest.node);
    else addUnusedVolume(guest, volid);
    world.guestChanged(guest);
  });
}

/** POST template: answers null though it is a task. */
function template(call: Call): null {
  const { world } = call;
  const guest = find(call);
  world.needLock("lxc", guest.vmid);
  if (Object.keys(guest.snapshots).length > 0) fail("unable to create template, because CT contains snapshots");
  checkLocked(guest);
  if (guest.config["template"] === "1") fail("you can't convert a template to a template");
  if (guest.run !== undefined) fail("you can't convert a CT to template if the CT is running");
  call.task("vztemplate", guest.vmid, function* () {
    yield world.guestLock("lxc", guest.vmid);
    yield world.duration("qmtemplate");
    for (const [key, mount] of mountsOf(guest.config)) {
      const volid = mount["volume"] ?? "";
      if (mountKind(volid) === "volume")
        guest.config[key] = printMount(key, { ...mount, volume: makeBase(world, volid, guest.node) });
    }
    guest.config["template"] = "1";
    world.guestChanged(guest);
  });
  return null;
}

function destroy(call: Call): string {
  const { world, vmid } = call;
  const guest = find(call);
  if (guest.config["protection"] === "1") fail(`can't remove CT ${vmid} - protection mode enabled`);
  checkLocked(guest);
  const purge = call.flag("purge");
  if (!purge && call.state.documents["ha-resources"]?.[`ct:${vmid}`] !== undefined)
    fail(`unable to remove CT ${vmid} - used in HA resources and purge parameter not set.`);
  const force = call.flag("force");
  if (guest.run !== undefined && !force) fail(`unable to destroy CT ${vmid} - container is running`);
  const unreferenced = call.flag("destroy-unreferenced-disks");
  return call.task("vzdestroy", vmid, function* (log) {
    yield world.guestLock("lxc", vmid);
    if (guest.run !== undefined) haltLxc(world, guest);
    const volids = ownedVolumes(call, guest);
    for (const volid of volids)
      if (hasClones(world.state, volid)) fail(`base volume '${volid}' is still in use by linked cloned`);
    yield world.duration("vzdestroy");
    for (const volid of volids)
      if (!freeVolume(world, volid, guest.node))
        log.line(`disk image '${pathOf(locate(world.state, volid))}' does not exist`);
    if (unreferenced)
      for (const volume of world.state.volumes.filter((v) => v.vmid === vmid && (v.node ?? guest.node) === guest.node))
        if (volume.content !== "backup") freeVolume(world, volume.volid, guest.node);
    forgetGuest(world, vmid);
    if (purge) {
      purgeGuest(world, guest, log);
    }
    world.removeGuest(guest);
  });
}

function ownedVolumes(call: Call, guest: Guest): string[] {
  const found = new Set<string>();
  for (const [, mount] of mountsOf(guest.config)) found.add(mount["volume"] ?? "");
  for (const [key, value] of Object.entries(guest.config)) if (isUnused(key)) found.add(value);
  return [...found].filter((volid) => ownsVolume(call.world, guest, volid));
}

export const lxcDiskCalls: Handlers = {
  "PUT /nodes/{node}/lxc/{vmid}/resize": resize,
  "POST /nodes/{node}/lxc/{vmid}/move_volume": moveVolume,
  "POST /nodes/{node}/lxc/{vmid}/template": template,
  "DELETE /nodes/{node}/lxc/{vmid}": destroy,
};
