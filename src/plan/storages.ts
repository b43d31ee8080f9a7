import type { Fields } from "../desired/types.js";
import type { Kind } from "../model/ref.js";
import type { ObservedState } from "../observed/types.js";
import { closest } from "./closest.js";
import { deviceOf, hasDevice } from "./compare.js";
import type { Hindrance } from "./draft.js";

/** What PVE calls the content of guests' volumes on a storage. */
const CONTENT: Record<Kind, string> = { VirtualMachine: "images", Container: "rootdir" };

/**
 * A new volume on a storage that does not exist, is disabled, is not on the node or does not take such volumes: PVE
 * would refuse it in the middle of the work. Storages that the log-in may not see are not judged.
 */
export function storageHindrance(
  desired: Fields,
  at: { kind: Kind; node: string; present: Fields },
  observed: ObservedState,
): Hindrance | undefined {
  if (observed.storages.length === 0) return undefined;
  for (const [path, value] of Object.entries(desired)) {
    if (!/^(disks\.[a-z]+\d+|mounts\.mp\d+|rootfs|cloudInit)\.storage$/.test(path) || typeof value !== "string")
      continue;
    const device = deviceOf(path);
    if (device === undefined ? path in at.present : hasDevice(at.present, device)) continue;
    const found = judge({ path, id: value }, at, observed);
    if (found) return found;
  }
  return undefined;
}

function judge(
  { path, id }: { path: string; id: string },
  { kind, node }: { kind: Kind; node: string },
  { storages }: ObservedState,
): Hindrance | undefined {
  const storage = storages.find((one) => one.id === id);
  const usable = storages.filter((one) => isUsable(one, kind, node)).map((one) => one.id);
  const hint = closest(id, usable);
  const remedy = `Storages for this on ${node} are ${usable.sort().join(", ") || "none"}${hint === undefined || storage ? "." : `; did you mean ${hint}?`}`;
  const reason = (text: string): Hindrance => ({ reason: `${path} is ${id}: ${text}`, remedy });
  if (!storage) return reason("there is no such storage");
  if (!storage.enabled) return reason("the storage is disabled");
  if (!isOn(storage, node)) return reason(`the storage is not available on ${node}`);
  if (!storage.content.includes(CONTENT[kind])) return reason(`the storage does not take ${CONTENT[kind]}`);
  return undefined;
}

/** A storage whose nodes are not told may be anywhere. */
function isOn({ nodes }: ObservedState["storages"][number], node: string): boolean {
  return nodes.length === 0 || nodes.some((one) => one.node === node);
}

function isUsable(storage: ObservedState["storages"][number], kind: Kind, node: string): boolean {
  return storage.enabled && storage.content.includes(CONTENT[kind]) && isOn(storage, node);
}
