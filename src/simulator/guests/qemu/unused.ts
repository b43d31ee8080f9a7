import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { findVolume, freeVolume, locate } from "../../storage/volumes.js";
import type { World } from "../../world.js";
import { drive, isCdrom, isCloudInit, isDriveKey, isUnusedKey } from "./drives.js";

const MAX_UNUSED = 256;

/** Whether a volume belongs to the guest by its name. */
export function isOwner(world: World, guest: Guest, volid: string): boolean {
  if (volid.startsWith("/")) return false;
  return locate(world.state, volid).parsed.vmid === guest.vmid;
}

/** PVE's `add_unused_volume`: the lowest free `unusedN`. @returns the key, undefined when it is listed already */
export function addUnused(guest: Guest, volid: string): string | undefined {
  for (const [key, value] of Object.entries(guest.config)) if (isUnusedKey(key) && value === volid) return undefined;
  for (let n = 0; n < MAX_UNUSED; n++)
    if (guest.config[`unused${n}`] === undefined) {
      guest.config[`unused${n}`] = volid;
      return `unused${n}`;
    }
  return fail("Too many unused volumes - please delete them first.");
}

/** PVE's `vmconfig_register_unused_drive`: a cloud-init volume goes, a disk of the guest's own becomes unused. */
export function registerUnused(world: World, guest: Guest, key: string, value: string): void {
  const parts = drive(key, value);
  const volid = parts["file"] ?? "";
  if (isCloudInit(parts)) {
    if (findVolume(world.state, volid, guest.node) !== undefined) freeVolume(world, volid, guest.node);
    delete guest.cloudInit;
  } else if (!isCdrom(parts) && isOwner(world, guest, volid)) addUnused(guest, volid);
}

/** Volumes that drives, current or pending, use; snapshots do not count here. */
function usedVolumes(guest: Guest): Set<string> {
  const used = new Set<string>();
  for (const section of [guest.config, guest.pending])
    for (const [key, value] of Object.entries(section)) if (isDriveKey(key)) used.add(drive(key, value)["file"] ?? "");
  return used;
}

/** What PVE does when it writes a config: `unusedN` of volumes that are used are left out. */
export function dropUsedUnused(guest: Guest): void {
  const used = usedVolumes(guest);
  for (const [key, value] of Object.entries(guest.config))
    if (isUnusedKey(key) && used.has(value.split(",")[0] ?? "")) delete guest.config[key];
}

/** Whether another slot or a snapshot needs the volume. */
export function isInUse(guest: Guest, besides: string, volid: string): boolean {
  for (const [key, value] of Object.entries(guest.config))
    if (key !== besides && isDriveKey(key) && drive(key, value)["file"] === volid) return true;
  return Object.values(guest.snapshots).some((section) =>
    Object.entries(section).some(([key, value]) => isDriveKey(key) && drive(key, value)["file"] === volid),
  );
}
