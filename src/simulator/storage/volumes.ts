import { fail } from "../fault.js";
import type { State, StorageState, Volume } from "../state/model.js";
import type { World } from "../world.js";
import { baseVolname, isFileStorage, parseVolname, splitVolid, volumePath, type VolumeName } from "./names.js";
import { checkSpace, isThick } from "./space.js";
import { isShared, storageOf } from "./storages.js";

const MAX_DISKS = 1024;

export interface Located {
  readonly storage: StorageState;
  readonly volname: string;
  readonly parsed: VolumeName;
}

/** Storage and parsed name of a volume id. @throws PVE's texts */
export function locate(state: State, volid: string): Located {
  const { storage: name, volname } = splitVolid(volid);
  const storage = storageOf(state, name);
  return { storage, volname, parsed: parseVolname(storage.type, volname) };
}

/** The volume itself, as the node sees it; undefined when there is none. */
export function findVolume(state: State, volid: string, node: string): Volume | undefined {
  return state.volumes.find((v) => v.volid === volid && (v.node === undefined || v.node === node));
}

/** Volumes of a storage, as a node sees it. */
export function volumesOf(state: State, storage: string, node: string): Volume[] {
  return state.volumes.filter((v) => v.storage === storage && (v.node === undefined || v.node === node));
}

export function pathOf({ storage, parsed }: Located): string {
  const root =
    storage.config["path"] ?? storage.config["vgname"] ?? storage.config["pool"] ?? `/mnt/pve/${storage.storage}`;
  return volumePath(storage.type, root, parsed);
}

export interface NewVolume {
  readonly storage: string;
  readonly node: string;
  readonly vmid: number;
  readonly format: string;
  /** Bytes. */
  readonly size: number;
  readonly content?: string | undefined;
  /** Without it PVE picks the lowest free number. */
  readonly name?: string | undefined;
  readonly base?: Volume | undefined;
  readonly bootable?: boolean | undefined;
  /** Bytes that are copied into it. */
  readonly data?: number | undefined;
}

/** PVE's `vdisk_alloc`: a new volume and its id. */
export function allocate(world: World, wanted: NewVolume): Volume {
  const storage = storageOf(world.state, wanted.storage);
  world.claimSpace(wanted.storage, wanted.size);
  const name = wanted.name ?? freeName(world.state, storage, wanted);
  const volname = isFileStorage(storage.type) ? `${wanted.vmid}/${name}` : name;
  parseVolname(storage.type, volname);
  const { node, format, size, data = 0 } = wanted;
  checkSpace(world, storage, { node, format, size, data, volname: name });
  const base = wanted.base === undefined ? "" : basePrefix(storage, wanted.base);
  const volume: Volume = {
    volid: `${storage.storage}:${base}${volname}`,
    storage: storage.storage,
    ...(!isShared(storage) && { node: wanted.node }),
    content: wanted.content ?? "images",
    format: wanted.format,
    size: wanted.size,
    used: isThick(storage, format) ? size : Math.max(usedBytes(format, size), data),
    vmid: wanted.vmid,
    ...(wanted.base !== undefined && { parent: wanted.base.volid }),
    ctime: world.seconds(),
    ...(wanted.bootable === true && { bootable: true }),
  };
  world.state.volumes.push(volume);
  world.changed();
  return volume;
}

/** A clone's id on file storages and zfs names its base; lvmthin and the like do not. */
function basePrefix(storage: StorageState, base: Volume): string {
  const chained = isFileStorage(storage.type) || storage.type === "zfspool" || storage.type === "rbd";
  return chained ? `${splitVolid(base.volid).volname}/` : "";
}

function freeName(state: State, storage: StorageState, wanted: NewVolume): string {
  const prefix = wanted.format === "subvol" ? "subvol" : "vm";
  const suffix = isFileStorage(storage.type) ? `.${wanted.format}` : "";
  const pattern = new RegExp(`(?:^|/)(?:vm|base|subvol|basevol)-${wanted.vmid}-disk-(\\d+)(?:\\.(\\w+))?$`);
  const taken = new Set<number>();
  for (const volume of volumesOf(state, storage.storage, wanted.node)) {
    const found = pattern.exec(volume.volid.slice(volume.volid.indexOf(":") + 1));
    // a file storage looks into the guest's own folder only, whatever the names in another one
    if (found === null || volume.vmid !== wanted.vmid) continue;
    // nfs and cifs look at volumes of the same format only [BEHAVIOUR section 8]
    if ((storage.type === "nfs" || storage.type === "cifs") && found[2] !== wanted.format) continue;
    taken.add(Number(found[1]));
  }
  for (let n = 0; n < MAX_DISKS; n++) if (!taken.has(n)) return `${prefix}-${wanted.vmid}-disk-${n}${suffix}`;
  return fail(`unable to allocate an image name for VM ${wanted.vmid} in storage '${storage.storage}'`);
}

function usedBytes(format: string, size: number): number {
  if (format === "qcow2") return 200704 + Math.ceil(size / 8192);
  return format === "vmdk" ? 12288 : 4096;
}

/** PVE's `vdisk_free`; a base with linked clones is refused. @returns whether there was such a volume */
export function freeVolume(world: World, volid: string, node: string): boolean {
  const volume = findVolume(world.state, volid, node);
  if (volume === undefined) return false;
  if (hasClones(world.state, volid)) fail(`base volume '${volid}' is still in use by linked cloned`);
  world.state.volumes.splice(world.state.volumes.indexOf(volume), 1);
  world.changed();
  return true;
}

export const hasClones = (state: State, volid: string): boolean => state.volumes.some((v) => v.parent === volid);

/** PVE's `vdisk_create_base`: the volume gets a name that begins with `base-`. @returns the new id */
export function makeBase(world: World, volid: string, node: string): string {
  const volume = findVolume(world.state, volid, node);
  if (volume === undefined) fail(`volume '${volid}' does not exist`);
  const { storage, volname, parsed } = locate(world.state, volid);
  if (parsed.isBase) fail("create_base not possible with base image");
  // a linked clone becomes a base of its own name
  const next = `${storage.storage}:${baseVolname(storage.type, volname)}`;
  volume.volid = next;
  world.changed();
  return next;
}

/** Another owner for a volume (`rename_volume`): the lowest free number of the new guest. @returns the new id */
export function reassign(world: World, volid: string, node: string, vmid: number): string {
  const volume = findVolume(world.state, volid, node);
  if (volume === undefined) fail(`volume '${volid}' does not exist`);
  const storage = storageOf(world.state, volume.storage);
  const name = freeName(world.state, storage, { ...volume, node, vmid, base: undefined });
  volume.volid = `${storage.storage}:${isFileStorage(storage.type) ? `${vmid}/` : ""}${name}`;
  volume.vmid = vmid;
  world.changed();
  return volume.volid;
}
