import type { Call, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { findVolume, freeVolume, hasClones, locate, pathOf } from "../../storage/volumes.js";
import type { TaskLog } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { forgetGuest, purgeGuest } from "../common/purge.js";
import { lockedText } from "../common/values.js";
import { drive, isCdrom, isCloudInit, isDriveKey, isUnusedKey } from "./drives.js";
import { rootOnly } from "./permissions.js";
import { isOwner } from "./unused.js";

/** The volumes that go with a VM: its own disks, attached or not, its cloud-init drive, saved states. */
function ownVolumes(world: World, guest: Guest): string[] {
  const found = new Set<string>();
  for (const section of [guest.config, ...Object.values(guest.snapshots)])
    for (const [key, value] of Object.entries(section)) {
      if (key === "vmstate") found.add(value);
      if (isUnusedKey(key)) found.add(value.split(",")[0] ?? "");
      if (!isDriveKey(key)) continue;
      const parts = drive(key, value);
      const volid = parts["file"] ?? "";
      if (volid === "" || volid === "none" || (isCdrom(parts) && !isCloudInit(parts))) continue;
      found.add(volid);
    }
  return [...found].filter((volid) => !volid.startsWith("/") && isOwner(world, guest, volid));
}

function refuseUsedBases(world: World, volids: readonly string[]): void {
  for (const volid of volids)
    if (hasClones(world.state, volid)) fail(`base volume '${volid}' is still in use by linked cloned`);
}

/** PVE's `destroy_vm`: volumes first, then the config. */
function destroyVolumes(world: World, guest: Guest, unreferenced: boolean, log: TaskLog): void {
  const volids = ownVolumes(world, guest);
  refuseUsedBases(world, volids);
  for (const volid of volids) {
    const volume = findVolume(world.state, volid, guest.node);
    if (volume === undefined) log.line(`disk image '${pathOf(locate(world.state, volid))}' does not exist`);
    else freeVolume(world, volid, guest.node);
  }
  if (!unreferenced) return;
  for (const volume of world.state.volumes.filter((v) => v.vmid === guest.vmid && v.content === "images"))
    if (volume.node === undefined || volume.node === guest.node) freeVolume(world, volume.volid, guest.node);
}

function destroy(call: Call): string {
  const { world, vmid, node } = call;
  rootOnly(call, "skiplock");
  const guest = world.findGuest("qemu", node, vmid);
  const skiplock = call.flag("skiplock");
  const protect = (): void => {
    if (guest.config["protection"] === "1") fail(`can't remove VM ${vmid} - protection mode enabled`);
  };
  protect();
  const purge = call.flag("purge");
  if (!purge && call.state.documents["ha-resources"]?.[`vm:${vmid}`] !== undefined)
    fail(`unable to remove VM ${vmid} - used in HA resources and purge parameter not set.`);
  if (guest.run !== undefined) fail(`VM ${vmid} is running - destroy failed`);
  const unreferenced = call.flag("destroy-unreferenced-disks");
  return call.task("qmdestroy", vmid, function* (log) {
    yield world.guestLock("qemu", vmid);
    protect();
    if (world.guest(vmid) !== guest) world.findGuest("qemu", node, vmid);
    const locked = lockedText(guest);
    if (locked !== undefined && !skiplock && guest.config["lock"] !== "suspended") fail(locked);
    if (guest.run !== undefined) fail(`VM ${vmid} is running - destroy failed`);
    refuseUsedBases(world, ownVolumes(world, guest));
    yield world.duration("qmdestroy");
    destroyVolumes(world, guest, unreferenced, log);
    forgetGuest(world, vmid);
    if (purge) {
      purgeGuest(world, guest, log);
    }
    world.removeGuest(guest);
  });
}

export const destroyCalls: Handlers = { "DELETE /nodes/{node}/qemu/{vmid}": destroy };
