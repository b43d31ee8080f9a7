import { fail, refuse } from "../fault.js";
import type { StorageState, State } from "../state/model.js";
import { isFileStorage } from "./names.js";

/** The storage's configuration. @throws PVE's 500 for an unknown one */
export function storageOf(state: State, name: string): StorageState {
  return state.storages[name] ?? fail(`storage '${name}' does not exist`);
}

/** PVE's `storage_check_enabled`. */
export function enabledStorage(state: State, name: string, node: string): StorageState {
  const storage = storageOf(state, name);
  if (storage.config["disable"] === "1") fail(`storage '${name}' is disabled`);
  if (!isOnNode(storage, node)) fail(`storage '${name}' is not available on node '${node}'`);
  return storage;
}

export function isOnNode(storage: StorageState, node: string): boolean {
  const nodes = storage.config["nodes"];
  return nodes === undefined || nodes.split(/[,;\s]+/).includes(node);
}

const SHARED = new Set(["nfs", "cifs", "cephfs", "rbd", "iscsi", "iscsidirect", "zfs", "pbs", "esxi"]);

export function isShared(storage: StorageState): boolean {
  return SHARED.has(storage.type) || storage.config["shared"] === "1";
}

export function contentTypes(storage: StorageState): string[] {
  return (storage.config["content"] ?? "images,rootdir").split(",").filter((type) => type !== "none");
}

/** VM disks: a storage without `images` is a wrong parameter `storage`. */
export function requireImages(state: State, name: string): StorageState {
  const storage = storageOf(state, name);
  if (!contentTypes(storage).includes("images")) refuse({ storage: `storage '${name}' does not support vm images` });
  return storage;
}

/** Formats that a storage takes for VM disks; the first is its default. [BEHAVIOUR section 7] */
export function diskFormats(storage: StorageState): readonly string[] {
  if (storage.type === "btrfs") return ["raw", "qcow2", "vmdk", "subvol"];
  if (isFileStorage(storage.type)) {
    const preferred = storage.config["format"];
    const all = ["raw", "qcow2", "vmdk", "subvol"];
    return preferred === undefined ? all : [preferred, ...all.filter((format) => format !== preferred)];
  }
  if (storage.type === "lvm" && storage.config["snapshot-as-volume-chain"] === "1") return ["qcow2", "raw"];
  return storage.type === "zfspool" ? ["raw", "subvol"] : ["raw"];
}

/** What can be done with a volume: linked clones, snapshots, templates. [BEHAVIOUR section 7] */
export function hasFeature(
  storage: StorageState,
  feature: Feature,
  volume: { format: string; isBase: boolean },
): boolean {
  const { type } = storage;
  const file = isFileStorage(type);
  switch (feature) {
    case "snapshot":
      if (volume.isBase) return false;
      return file ? volume.format === "qcow2" : ["lvmthin", "zfspool", "zfs", "rbd"].includes(type);
    case "clone":
      return volume.isBase && type !== "lvm" && (!file || volume.format !== "subvol");
    case "template":
      return type !== "lvm";
    case "copy":
      return true;
  }
}

export type Feature = "snapshot" | "clone" | "template" | "copy";
