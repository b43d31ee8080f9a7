import { isDeepStrictEqual } from "node:util";
import type { Kind } from "../../model/ref.js";
import type { ObservedGuest, ObservedValue, RawConfig } from "../../observed/types.js";
import { CONTAINER_SPEC } from "./container.js";
import { identitiesOf, plainDescription, withoutSmbiosUuid } from "./identity.js";
import { PropertyString } from "./property-string.js";
import { join } from "./spec.js";
import type { GroupSpec, KeyFields, KindSpec } from "./spec.js";
import { CLOUD_INIT_STORAGE, driveUse, DRIVE_KEY, VM_SPEC } from "./vm.js";
import { readVolume } from "./volume.js";

/** Keys that PVE keeps for itself, or that must not be shown (cipassword reads as asterisks anyway). */
const INTERNAL =
  /^(digest|meta|vmgenid|unused\d+|lock|parent|snaptime|snapstate|template|vmstate|runningmachine|runningcpu|running-nets-host-mtu|cipassword|lxc)$/;

/** The fields of a kind's configuration. */
export function specOf(kind: Kind): KindSpec {
  return kind === "VirtualMachine" ? VM_SPEC : CONTAINER_SPEC;
}

/**
 * PVE's configuration in the manifests' fields (src/desired/types.ts), and the identities it carries. Pure.
 * Only what the configuration holds is there, but for `unprivileged` of a container: PVE leaves the key out of
 * privileged ones although new containers are unprivileged [lxccreate/accept.unprivileged-0.config].
 */
export function decode(kind: Kind, raw: RawConfig): Pick<ObservedGuest, "fields" | "pendingFields" | "identities"> {
  const fields: Record<string, ObservedValue> = {};
  for (const key of Object.keys(raw.config).sort()) Object.assign(fields, keyFields(kind, key, raw.config[key] ?? ""));
  if (kind === "Container") fields["unprivileged"] ??= false;
  const pending = Object.entries(raw.pending).flatMap(([key, value]) =>
    pendingPaths(kind, key, { now: raw.current?.[key], next: value }),
  );
  return { fields, pendingFields: [...new Set(pending)].sort(), identities: identitiesOf(kind, raw.config) };
}

/** The fields of one key. A value that its codec can't read is left to `extraConfig`, so that nothing is hidden. */
function keyFields(kind: Kind, key: string, value: string): KeyFields {
  if (INTERNAL.test(key)) return {};
  if (key === "description") {
    const plain = plainDescription(value);
    return plain === "" ? {} : { description: plain };
  }
  if (key === "smbios1") {
    const rest = withoutSmbiosUuid(value);
    return rest === "" ? {} : { "extraConfig.smbios1": rest };
  }
  if (kind === "VirtualMachine" && DRIVE_KEY.test(key)) {
    const use = driveUse(value);
    if (use === "cloudinit") return cloudInitDrive(value);
    if (use === "cdrom") return { [`extraConfig.${key}`]: value };
  }
  const spec = specOf(kind);
  const scalar = spec.scalars.find((candidate) => candidate.key === key);
  if (scalar) {
    const read = scalar.codec.read(value);
    return read === undefined ? { [`extraConfig.${key}`]: value } : { [scalar.path]: read };
  }
  for (const group of spec.groups) {
    const prefix = group.pathOf(key);
    if (prefix !== undefined) return groupFields(group, prefix, value);
  }
  return { [`extraConfig.${key}`]: value };
}

function cloudInitDrive(value: string): KeyFields {
  const volume = PropertyString.parse(value, "file").get("file") ?? "";
  return { [CLOUD_INIT_STORAGE]: volume.slice(0, volume.indexOf(":")) };
}

function groupFields(group: GroupSpec, prefix: string, value: string): KeyFields {
  const options = group.parse(value);
  const fields: KeyFields = {};
  if (group.volume !== undefined) {
    for (const [field, read] of Object.entries(readVolume(options, group.volume))) fields[join(prefix, field)] = read;
  }
  for (const { field, option, codec } of group.options) {
    const written = options.get(option);
    const read = written === undefined ? undefined : codec.read(written);
    if (read !== undefined) fields[join(prefix, field)] = read;
  }
  return fields;
}

/** The fields whose change waits; the key's own path where it will be removed, or where no field tells the difference. */
function pendingPaths(
  kind: Kind,
  key: string,
  { now, next }: { now: string | undefined; next: string | null },
): string[] {
  if (INTERNAL.test(key)) return [];
  const before = now === undefined ? {} : keyFields(kind, key, now);
  const after = next === null ? {} : keyFields(kind, key, next);
  const changed = Object.keys({ ...before, ...after }).filter((path) => !isDeepStrictEqual(before[path], after[path]));
  if (next !== null && changed.length > 0) return changed;
  const spec = specOf(kind);
  const scalar = spec.scalars.find((candidate) => candidate.key === key);
  if (scalar) return [scalar.path];
  const group = spec.groups.find((candidate) => candidate.pathOf(key) !== undefined);
  const prefix = group?.pathOf(key);
  if (group === undefined || prefix === undefined) return [key === "description" ? key : `extraConfig.${key}`];
  const only = group.options.length === 1 ? group.options[0] : undefined;
  return [join(prefix, only?.field ?? "")];
}
