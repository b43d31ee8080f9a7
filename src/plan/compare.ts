import type { DesiredGuest, Fields, FieldValue } from "../desired/types.js";
import type { Kind } from "../model/ref.js";
import type { ObservedGuest } from "../observed/types.js";
import { formatValue } from "./format.js";
import { defaultOf, effectOf, isSticky } from "./rules.js";
import type { FieldDiff, PlanPolicy } from "./types.js";

// A device is added, detached or removed as a whole: `disks.scsi1`, `networks.net0`, `mounts.mp0`.
const DEVICE = /^((?:disks|networks|mounts)\.[a-z]+\d+)\./;

/** The device a path belongs to: `disks.scsi1` of `disks.scsi1.size`. */
export function deviceOf(path: string): string | undefined {
  return DEVICE.exec(path)?.[1];
}

/** Whether any field of a device is there. */
export function hasDevice(fields: Fields, device: string): boolean {
  const prefix = `${device}.`;
  for (const path in fields) if (path.startsWith(prefix)) return true;
  return false;
}

/** Equal values; lists by content and order. */
function sameValue(a: FieldValue | undefined, b: FieldValue | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => item === b[i]);
  return a === b;
}

function isIgnored(path: string, ignored: readonly string[]): boolean {
  return ignored.some((one) => {
    const bare = one.replace(/^spec\./, "");
    return path === bare || path.startsWith(`${bare}.`);
  });
}

/** Whether a guest's value of a field is as good as another; PVE's raw options are compared by meaning with a policy. */
export function sameField(
  kind: Kind,
  path: string,
  values: readonly [FieldValue | undefined, FieldValue | undefined],
  policy?: Pick<PlanPolicy, "sameRaw">,
): boolean {
  const fallback = defaultOf(kind, path);
  const [a, b] = [values[0] ?? fallback, values[1] ?? fallback];
  if (sameValue(a, b) || samePlace(path, a, b)) return true;
  if (policy && path.startsWith("extraConfig.") && typeof a === "string" && typeof b === "string")
    return policy.sameRaw(kind, path.slice("extraConfig.".length), a, b);
  return false;
}

// lvm and lvmthin round up to extents (BEHAVIOUR section 7), 4 MiB unless the volume group was made with others
const EXTENT = 4 * 2 ** 20;

/** What the storage decides: block storages name no format, and give a little more than was asked for. */
function samePlace(path: string, from: FieldValue | undefined, to: FieldValue | undefined): boolean {
  if (/^disks\..*\.format$/.test(path)) return from === undefined;
  const isSize = /^(disks|mounts)\..*\.size$|^rootfs\.size$/.test(path);
  return isSize && typeof from === "number" && typeof to === "number" && from > to && from - to < EXTENT;
}

/**
 * Whether the manifest made the device: then it goes with its declaration. One that was only adjusted (the size of a
 * template's disk) is not the manifest's, and stays.
 */
function declares(fields: Fields, device: string): boolean {
  return ["storage", "source", "bridge"].some((field) => fields[`${device}.${field}`] !== undefined);
}

/** A device that goes, in one diff's text. */
function deviceText(fields: Fields, device: string): string {
  const prefix = `${device}.`;
  const parts: string[] = [];
  for (const path of Object.keys(fields).sort())
    if (path.startsWith(prefix)) parts.push(`${path.slice(prefix.length)}=${formatValue(path, fields[path] ?? "")}`);
  return parts.join(", ");
}

interface Comparison {
  readonly desired: DesiredGuest;
  /** What was last applied in full: fields in it that are no longer declared go back to PVE's default. */
  readonly lastApplied: Fields;
  readonly guest: ObservedGuest;
  readonly policy: PlanPolicy;
  /** While the guest is being made, `ignoreChanges` does not count: those fields are set once. */
  readonly isNew?: boolean;
}

/**
 * The three-way comparison, field by field: declared fields that differ, and fields that were declared the last time
 * and are gone. What the manifest never mentioned is not looked at. Ordered by path.
 */
export function compareFields({ desired, lastApplied, guest, policy, isNew }: Comparison): FieldDiff[] {
  const diffs: FieldDiff[] = [];
  const kind = guest.kind;
  const ignored = isNew === true ? [] : desired.lifecycle.ignoreChanges;
  for (const [path, to] of Object.entries(desired.fields)) {
    if (isIgnored(path, ignored)) continue;
    const from = guest.fields[path];
    const device = deviceOf(path);
    const isNewDevice = device !== undefined && !hasDevice(guest.fields, device);
    if (!isNewDevice && sameField(kind, path, [from, to], policy)) continue;
    const effect = effectOf(guest, isNewDevice ? device : path, to);
    diffs.push({ path, ...(from !== undefined && { from }), to, effect });
  }
  const goneDevices = new Set<string>();
  for (const path of Object.keys(lastApplied)) {
    if (path in desired.fields || isIgnored(path, ignored)) continue;
    const device = deviceOf(path);
    if (device !== undefined && !hasDevice(desired.fields, device) && declares(lastApplied, device)) {
      if (!goneDevices.has(device) && hasDevice(guest.fields, device)) {
        const from = deviceText(guest.fields, device);
        diffs.push({ path: device, from, effect: effectOf(guest, device, undefined) });
      }
      goneDevices.add(device);
      continue;
    }
    const from = guest.fields[path];
    if (isSticky(kind, path) || from === undefined || sameField(kind, path, [from, undefined], policy)) continue;
    diffs.push({ path, from, effect: effectOf(guest, path, undefined) });
  }
  return diffs.sort((a, b) => (a.path < b.path ? -1 : 1));
}
