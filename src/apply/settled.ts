import type { FieldValue } from "../desired/types.js";
import type { ObservedGuest } from "../observed/types.js";
import { hasDevice, sameField } from "../plan/compare.js";
import type { FieldDiff, Step } from "../plan/types.js";

const WHOLE_DEVICE = /^(disks|networks|mounts)\.[a-z]+\d+$/;

function isSame(guest: ObservedGuest, path: string, value: FieldValue | undefined): boolean {
  if (WHOLE_DEVICE.test(path)) return hasDevice(guest.fields, path) === (value !== undefined);
  return sameField(guest.kind, path, [guest.fields[path], value]);
}

/**
 * Whether a configuration whose answer was lost has been made. PVE may word raw options its own way, so those count as
 * made when the rest is and the digest is no longer the one from before.
 */
export function isConfigured(
  changes: readonly FieldDiff[],
  guest: ObservedGuest,
  before: ObservedGuest | undefined,
): boolean {
  const open = changes.filter(({ path, to }) => !isSame(guest, path, to));
  if (open.length === 0 && changes.length > 0) return true;
  return before?.digest !== guest.digest && open.every(({ path }) => path.startsWith("extraConfig."));
}

/** The fields that have neither the value the change was planned against nor the one it gives. */
export function movedFields(changes: readonly FieldDiff[], guest: ObservedGuest): string[] {
  return changes
    .filter(({ path, from, to }) => !isSame(guest, path, from) && !isSame(guest, path, to))
    .map(({ path }) => path);
}

/** Whether the disk has the size already, or more: PVE can't shrink it. */
export function isGrown(step: Extract<Step, { op: "resize" }>, guest: ObservedGuest): boolean {
  const paths = step.disk === "rootfs" ? ["rootfs.size"] : [`disks.${step.disk}.size`, `mounts.${step.disk}.size`];
  return paths.some((path) => {
    const size = guest.fields[path];
    return typeof size === "number" && size >= step.size;
  });
}
