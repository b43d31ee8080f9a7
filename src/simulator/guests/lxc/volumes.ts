import type { Call } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import type { Guest, State, Volume } from "../../state/model.js";
import { splitVolid } from "../../storage/names.js";
import { formatSize } from "../../storage/sizes.js";
import { contentTypes, enabledStorage, storageOf } from "../../storage/storages.js";
import { allocate, findVolume, locate } from "../../storage/volumes.js";
import type { TaskLog } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { logFormatting } from "../qemu/disks.js";
import { isMountKey, isUnused, mountKind, newVolume, parseMount, printMount } from "./mounts.js";

const GIB = 2 ** 30;
const MAX_UNUSED = 256;

/** The storages that a new container's volumes are on. */
export function checkMountStorages(call: Call, set: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(set)) {
    if (!isMountKey(key)) continue;
    const volume = parseMount(key, value)["volume"] ?? "";
    if (mountKind(volume) === "volume") containerStorage(call, splitVolid(volume).storage);
  }
}

/** A storage that a new container's volumes are on: there, for containers, and open to the caller. */
export function containerStorage(call: Call, name: string): void {
  const storage = enabledStorage(call.state, name, call.node);
  if (!contentTypes(storage).includes("rootdir"))
    refuse({ storage: `storage '${name}' does not support container directories` });
  call.require(`/storage/${name}`, ["Datastore.AllocateSpace"]);
}

/** A volume, new or not, must be on a storage for containers. */
export function checkContent(state: State, key: string, value: string): void {
  const volume = parseMount(key, value)["volume"] ?? "";
  if (mountKind(volume) !== "volume") return;
  const { storage } = splitVolid(volume);
  if (!contentTypes(storageOf(state, storage)).includes("rootdir"))
    fail(`storage '${storage}' does not allow content type 'rootdir' (Container)`);
}

export interface VolumeWork {
  readonly world: World;
  readonly node: string;
  readonly vmid: number;
  readonly log: TaskLog;
}

/** A mount point as the config keeps it: new volumes are made, sizes filled in. */
export function createMount(work: VolumeWork, key: string, value: string, made?: Volume[]): string {
  const parts = parseMount(key, value);
  const volid = parts["volume"] ?? "";
  if (mountKind(volid) !== "volume") return value;
  const created = newVolume(volid);
  const { world } = work;
  if (created === undefined) {
    const volume = findVolume(world.state, volid, work.node);
    return volume === undefined ? value : printMount(key, { ...parts, size: formatSize(volume.size) });
  }
  const storage = enabledStorage(world.state, created.storage, work.node);
  const size = Math.floor(created.gib * GIB);
  const format = size === 0 || storage.type === "zfspool" ? "subvol" : "raw";
  const at = { storage: created.storage, node: work.node, vmid: work.vmid };
  const volume = allocate(world, { ...at, format, size, content: "rootdir" });
  made?.push(volume);
  if (format === "raw") logFilesystem(work, volume.volid, size);
  return printMount(key, { ...parts, volume: volume.volid, size: formatSize(size) });
}

export function logFilesystem(work: Pick<VolumeWork, "world" | "log">, volid: string, size: number): void {
  logFormatting(work, volid, "raw", size);
  const block = size >= 512 * 2 ** 20 ? 4 : 1;
  work.log.line(`Creating filesystem with ${Math.floor(size / 1024 / block)} ${block}k blocks and 65536 inodes`);
}

/** The lowest free `unusedN` for a volume of the container's. */
export function addUnusedVolume(guest: Guest, volid: string): void {
  for (const [key, value] of Object.entries(guest.config)) if (isUnused(key) && value === volid) return;
  for (let n = 0; n < MAX_UNUSED; n++)
    if (guest.config[`unused${n}`] === undefined) {
      guest.config[`unused${n}`] = volid;
      return;
    }
  fail("Too many unused volumes - please delete them first.");
}

/** `unusedN` of volumes that are mounted are left out when the config is written. */
export function dropMountedUnused(guest: Guest): void {
  const mounted = new Set<string>();
  for (const section of [guest.config, guest.pending])
    for (const [key, value] of Object.entries(section))
      if (isMountKey(key)) mounted.add(parseMount(key, value)["volume"] ?? "");
  for (const [key, value] of Object.entries(guest.config))
    if (isUnused(key) && mounted.has(value)) delete guest.config[key];
}

/** Whether a volume belongs to the container by its name. */
export function ownsVolume(world: World, guest: Guest, volid: string): boolean {
  return mountKind(volid) === "volume" && locate(world.state, volid).parsed.vmid === guest.vmid;
}
