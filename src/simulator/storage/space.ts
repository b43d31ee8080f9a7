import { fail } from "../fault.js";
import type { StorageState } from "../state/model.js";
import type { World } from "../world.js";
import { storageFigures } from "./figures.js";

export interface Wanted {
  readonly node: string;
  readonly format: string;
  /** Bytes: the volume's size, and what is copied into it. */
  readonly size: number;
  readonly data: number;
  readonly volname: string;
}

/** Volumes that take their whole size at once; thin ones and files take what is in them. */
export function isThick({ type, config }: StorageState, format: string): boolean {
  return type === "lvm" || (type === "zfspool" && format === "raw" && config["sparse"] !== "1");
}

/**
 * PVE looks at the free space of lvm only; elsewhere the storage itself fails, or the copy that fills it. A thin pool
 * takes any size. [BEHAVIOUR section 8] @throws the storage's words
 */
export function checkSpace(world: World, storage: StorageState, wanted: Wanted): void {
  const { avail } = storageFigures(world, storage, wanted.node);
  const thick = isThick(storage, wanted.format);
  const need = thick ? wanted.size : wanted.data;
  if (need <= avail) return;
  if (storage.type === "lvm") fail(`not enough free space (${avail} < ${need})`);
  if (thick) {
    const pool = storage.config["pool"] ?? storage.storage;
    fail(`zfs error: cannot create '${pool}/${wanted.volname}': out of space`);
  }
  const { format } = wanted;
  fail(`copy failed: command '/usr/bin/qemu-img convert -p -n -f ${format} -O ${format}' failed: exit code 1`);
}
