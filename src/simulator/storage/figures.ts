import type { StorageState } from "../state/model.js";
import type { World } from "../world.js";
import { isShared } from "./storages.js";

/** Bytes of a storage as a node sees it: what its volumes take, and a base load. */
export function storageFigures(
  world: World,
  storage: StorageState,
  node: string,
): { total: number; used: number; avail: number } {
  const shared = isShared(storage);
  const { total, others } = storage.figures?.[node] ?? {
    total: storage.total,
    others: Math.floor(storage.total * 0.05),
  };
  let used = others;
  for (const volume of world.state.volumes)
    if (volume.storage === storage.storage && (shared || volume.node === node)) used += volume.used;
  if (world.storageFaults.get(storage.storage)?.full === true) used = total;
  return { total, used: Math.min(used, total), avail: Math.max(0, total - used) };
}
