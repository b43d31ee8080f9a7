import type { FieldValue } from "../../desired/types.js";
import { ProxmoorError } from "../../model/errors.js";
import type { Kind } from "../../model/ref.js";
import { specOf } from "./decode.js";
import {
  identitiesOf,
  markedDescription,
  markersOf,
  plainDescription,
  smbiosUuid,
  withSmbiosUuid,
} from "./identity.js";
import type { PropertyString } from "./property-string.js";
import { sameRaw } from "./same-raw.js";
import type { GroupSpec } from "./spec.js";
import { CLOUD_INIT_STORAGE, DRIVE_KEY, driveUse } from "./vm.js";
import { newVolume, readVolume, VOLUME_FIELDS } from "./volume.js";

/** What a configuration write sends: PVE's keys with their new texts, and the keys to delete. */
export interface ConfigWrite {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

/** One field and what it becomes; undefined: back to PVE's default, or the device goes. */
export interface FieldChange {
  readonly path: string;
  readonly to?: FieldValue | undefined;
}

export interface EncodeInput {
  readonly kind: Kind;
  /** PVE's configuration with what is pending merged in; empty for a guest to be made. */
  readonly config: Readonly<Record<string, string>>;
  readonly changes: readonly FieldChange[];
  /** The uuid the guest carries or is given. */
  readonly identity: string;
}

type Draft = Map<string, string | null>;

/**
 * Turns changes of fields into PVE's parameters. A device's property string is rebuilt from the one it has, with just
 * the changed options changed: PVE takes it whole, and a network sent without its MAC gets a new one
 * [qemuconfig/net.new-mac]. Sizes of volumes that exist are not sent here (that is a resize).
 *
 * @throws ProxmoorError PLAN_BLOCKED for a volume that would have to move, INTERNAL for a path that is no field.
 */
export function encode(input: EncodeInput): ConfigWrite {
  const draft: Draft = new Map();
  const grouped = new Map<string, { group: GroupSpec; fields: Map<string, FieldValue | undefined> }>();
  for (const change of input.changes) {
    if (isDefaultFeature(input, change)) continue;
    if (encodeScalar(input, change, draft)) continue;
    const { group, key, field } = groupOf(input.kind, change.path);
    const entry = grouped.get(key) ?? { group, fields: new Map<string, FieldValue | undefined>() };
    grouped.set(key, entry);
    entry.fields.set(field, change.to);
  }
  for (const [key, { group, fields }] of grouped) draft.set(key, encodeGroup(group, key, input.config[key], fields));
  // only root@pam may delete the key; saying no nesting does the same with VM.Allocate
  if (input.kind === "Container" && draft.get("features") === null) {
    if (input.config["features"] === undefined) draft.delete("features");
    else draft.set("features", "nesting=0");
  }
  encodeCloudInitDrive(input, draft);
  encodeIdentity(input, draft);
  return finish(input, draft);
}

/**
 * A feature that is switched off where no features are set: that is PVE's default already, and only root@pam may say so
 * (BEHAVIOUR 2, LXC: any other first value than `nesting=1`).
 */
function isDefaultFeature({ kind, config }: EncodeInput, { path, to }: FieldChange): boolean {
  return kind === "Container" && path.startsWith("features.") && to === false && config["features"] === undefined;
}

/** Fields with a key of their own; false where the path is none of them. */
function encodeScalar({ kind }: EncodeInput, { path, to }: FieldChange, draft: Draft): boolean {
  if (path === "description" || (path === CLOUD_INIT_STORAGE && kind === "VirtualMachine")) return true;
  const scalar = specOf(kind).scalars.find((candidate) => candidate.path === path);
  if (scalar) {
    const written = to === undefined ? "" : scalar.codec.write(to);
    draft.set(scalar.key, written === "" ? (scalar.unset ?? null) : written);
    return true;
  }
  if (!path.startsWith("extraConfig.")) return false;
  draft.set(path.slice("extraConfig.".length), to === undefined ? null : String(to));
  return true;
}

function groupOf(kind: Kind, path: string): { group: GroupSpec; key: string; field: string } {
  for (const group of specOf(kind).groups) {
    const at = group.keyOf(path);
    const known =
      at !== undefined &&
      (at.field === "" ||
        group.options.some(({ field }) => field === at.field) ||
        (group.volume !== undefined && VOLUME_FIELDS.some((field) => field === at.field)));
    if (known) return { group, ...at };
  }
  throw new ProxmoorError("INTERNAL", `no PVE setting is known for the field ${path} of a ${kind}`, { subject: path });
}

/** The property string of one key after the changes; null where the key goes. */
function encodeGroup(
  group: GroupSpec,
  key: string,
  current: string | undefined,
  fields: ReadonlyMap<string, FieldValue | undefined>,
): string | null {
  if (isRemoved(group, fields)) return null;
  const known = current !== undefined && current.trim() !== "" ? current : undefined;
  const options = group.parse(known ?? "");
  if (group.volume !== undefined) encodeVolume({ group, option: group.volume, key, options, fields, known });
  for (const { field, option, codec } of group.options) {
    if (!fields.has(field)) continue;
    const to = fields.get(field);
    // a MAC no longer declared stays: without it PVE makes up a new one, and the guest loses its network
    if (to !== undefined) options.set(option, codec.write(to));
    else if (field !== "mac") options.delete(option);
  }
  if (known === undefined) {
    for (const [option, value] of Object.entries(group.initial?.(key) ?? {})) {
      if (options.get(option) === undefined) options.set(option, value);
    }
  }
  if (options.entries().length === 0) return null;
  if (group.required && options.get(group.required.option) === undefined) {
    options.set(group.required.option, group.required.fallback);
  }
  return group.print(options);
}

/** A device goes as a whole: by its own path (`disks.scsi1`), to which no value is given. */
function isRemoved(group: GroupSpec, fields: ReadonlyMap<string, FieldValue | undefined>): boolean {
  return fields.has("") && fields.get("") === undefined && !group.options.some(({ field }) => field === "");
}

interface VolumeInput {
  readonly group: GroupSpec;
  readonly option: string;
  readonly key: string;
  readonly options: PropertyString;
  readonly fields: ReadonlyMap<string, FieldValue | undefined>;
  readonly known: string | undefined;
}

function encodeVolume({ option, key, options, fields, known }: VolumeInput): void {
  const [storage, size, format, source] = VOLUME_FIELDS.map((field) => fields.get(field));
  if (known !== undefined) {
    const now = readVolume(options, option);
    const moved = VOLUME_FIELDS.find(
      (field) => field !== "size" && fields.get(field) !== undefined && fields.get(field) !== now[field],
    );
    if (moved !== undefined) {
      throw new ProxmoorError(
        "PLAN_BLOCKED",
        `${key} has the volume ${options.get(option) ?? "none"}; changing its ${moved} would move it`,
        { subject: key, remedy: "Move the volume in PVE, or give the new disk another slot." },
      );
    }
    return;
  }
  if (source !== undefined) options.set(option, String(source));
  else if (storage !== undefined && size !== undefined) options.set(option, newVolume(storage, size));
  else throw new ProxmoorError("INTERNAL", `a new ${key} needs a storage and a size`, { subject: key });
  if (format !== undefined) options.set("format", String(format));
}

/** The cloud-init drive: its storage is the field, its slot is wherever it is or may be. */
function encodeCloudInitDrive({ kind, config, changes }: EncodeInput, draft: Draft): void {
  const change = changes.find(({ path }) => path === CLOUD_INIT_STORAGE);
  if (kind !== "VirtualMachine" || change === undefined) return;
  const current = Object.keys(config).find((key) => DRIVE_KEY.test(key) && driveUse(config[key] ?? "") === "cloudinit");
  if (change.to === undefined) {
    if (current !== undefined) draft.set(current, null);
    return;
  }
  const slots = ["ide2", "ide0", ...Array.from({ length: 31 }, (_, index) => `scsi${30 - index}`)];
  const isFree = (key: string): boolean => config[key] === undefined && !draft.has(key);
  const slot = current ?? slots.find(isFree);
  if (slot === undefined) throw new ProxmoorError("PLAN_BLOCKED", "no slot is free for the cloud-init drive");
  if (current !== undefined && config[current]?.startsWith(`${String(change.to)}:`) === true) return;
  draft.set(slot, `${String(change.to)}:cloudinit`);
}

/**
 * Makes sure the guest carries its identity (ADR 0004): a VM in smbios1, where the marker that its clone was born with
 * is dropped; a container as the last line of its description.
 */
function encodeIdentity({ kind, config, changes, identity }: EncodeInput, draft: Draft): void {
  const change = changes.find(({ path }) => path === "description");
  const current = config["description"] ?? "";
  const plain = change === undefined ? plainDescription(current) : plainDescription(String(change.to ?? ""));
  if (kind === "Container") {
    const carries = markersOf(current).length === 1 && identitiesOf(kind, config).includes(identity.toLowerCase());
    if (change !== undefined || !carries) draft.set("description", markedDescription(plain, identity));
    return;
  }
  const smbios = (draft.has("smbios1") ? draft.get("smbios1") : config["smbios1"]) ?? "";
  if (draft.has("smbios1") || smbiosUuid(smbios) !== identity.toLowerCase()) {
    draft.set("smbios1", withSmbiosUuid(smbios, identity));
  }
  if (change !== undefined || markersOf(current).length > 0) draft.set("description", plain === "" ? null : plain);
}

/** Drops what would change nothing: keys to delete that are not set, texts that mean what is there already. */
function finish({ kind, config }: EncodeInput, draft: Draft): ConfigWrite {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  for (const [key, value] of [...draft].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const current = config[key];
    if (value === null) {
      if (current !== undefined) remove.push(key);
    } else if (current === undefined || !sameText(kind, key, current, value)) set[key] = value;
  }
  return { set, remove };
}

function sameText(kind: Kind, key: string, a: string, b: string): boolean {
  const codec = specOf(kind).scalars.find((scalar) => scalar.key === key)?.codec;
  if (codec === undefined || a === b)
    return key === "description" ? a.trimEnd() === b.trimEnd() : sameRaw(kind, key, a, b);
  return JSON.stringify(codec.read(a)) === JSON.stringify(codec.read(b));
}
