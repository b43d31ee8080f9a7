import type { FieldValue } from "../../desired/types.js";
import { PropertyString } from "./property-string.js";
import type { ValueCodec } from "./values.js";

/** A field with a PVE key of its own. */
export interface ScalarSpec {
  readonly path: string;
  readonly key: string;
  readonly codec: ValueCodec;
  /** What is sent instead of deleting the key, where PVE refuses the deletion or takes it for another value. */
  readonly unset?: string;
}

/** A field that is one option of a property string. `field` is relative to the group's path; "" is the group itself. */
export interface OptionSpec {
  readonly field: string;
  readonly option: string;
  readonly codec: ValueCodec;
}

/** A PVE key whose value is a property string: a device slot, or a single one such as `agent`. */
export interface GroupSpec {
  /** The field path of a key (`net0` → `networks.net0`); undefined where the key is not of this group. */
  pathOf(key: string): string | undefined;
  /** The key and relative field of a path (`networks.net0.vlan` → `net0`, `vlan`). */
  keyOf(path: string): { readonly key: string; readonly field: string } | undefined;
  readonly options: readonly OptionSpec[];
  parse(text: string): PropertyString;
  print(options: PropertyString): string;
  /** The option that holds a volume: its storage, size and format are fields too. */
  readonly volume?: string;
  /** Options a new device is given where the manifest has none. */
  readonly initial?: (key: string) => Readonly<Record<string, string>>;
  /** An option PVE insists on, and its default: set when the other options stay. */
  readonly required?: { readonly option: string; readonly fallback: string };
}

/** Everything a kind's configuration consists of. */
export interface KindSpec {
  readonly scalars: readonly ScalarSpec[];
  readonly groups: readonly GroupSpec[];
}

/** Where a group's keys and paths are: a map of slots. `rename` gives the key of a slot and back (`net0` ↔ `ipconfig0`). */
export function slotted(prefix: string, slots: RegExp, rename: readonly [string, string] = ["", ""]) {
  const [slotHead, keyHead] = rename;
  return {
    pathOf: (key: string): string | undefined => {
      if (!key.startsWith(keyHead)) return undefined;
      const slot = slotHead + key.slice(keyHead.length);
      return slots.test(slot) ? `${prefix}.${slot}` : undefined;
    },
    keyOf: (path: string): { key: string; field: string } | undefined => {
      if (!path.startsWith(`${prefix}.`)) return undefined;
      const [slot = "", ...field] = path.slice(prefix.length + 1).split(".");
      return slots.test(slot) ? { key: keyHead + slot.slice(slotHead.length), field: field.join(".") } : undefined;
    },
  };
}

/** Where a group with a single key is. */
export function single(prefix: string, name: string) {
  return {
    pathOf: (key: string): string | undefined => (key === name ? prefix : undefined),
    keyOf: (path: string): { key: string; field: string } | undefined =>
      path === prefix
        ? { key: name, field: "" }
        : path.startsWith(`${prefix}.`)
          ? { key: name, field: path.slice(prefix.length + 1) }
          : undefined,
  };
}

/** Reading and writing property strings with this default key. */
export function properties(defaultKey?: string) {
  return {
    parse: (text: string): PropertyString => PropertyString.parse(text, defaultKey),
    print: (options: PropertyString): string => options.toString(),
  };
}

/** A field's path from its group's. */
export function join(prefix: string, field: string): string {
  return field === "" ? prefix : `${prefix}.${field}`;
}

/** The fields of one key, by full path. */
export type KeyFields = Record<string, FieldValue>;
