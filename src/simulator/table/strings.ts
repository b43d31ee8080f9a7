import type { Properties } from "./table.js";

/** A property string taken apart: option → value, aliases resolved. */
export type Parts = Record<string, string>;

/** A text that PVE says of a property string before it looks at its options. */
export class StringFault extends Error {}

const TRUE = /^(1|on|yes|true)$/i;
const FALSE = /^(0|off|no|false)$/i;

/** PVE's `parse_boolean`: undefined for what is no boolean. */
export function parseBoolean(value: string): "0" | "1" | undefined {
  if (TRUE.test(value)) return "1";
  return FALSE.test(value) ? "0" : undefined;
}

/**
 * Takes a property string apart as PVE's JSONSchema does (`parse_property_string`), without checking the options.
 * @throws StringFault for a doubled key, a value without a key, a key without a value.
 */
export function splitString(text: string, shape: Properties): Parts {
  const parts: Parts = {};
  const defaultKey = Object.keys(shape).find((key) => shape[key]?.defaultKey);
  for (const part of text.split(",")) {
    if (/^\s*$/.test(part)) continue;
    const pair = /^([^=]+)=([\s\S]+)$/.exec(part);
    if (pair !== null) addPair(parts, shape, pair[1] ?? "", pair[2] ?? "");
    else if (part.includes("=")) throw new StringFault("missing key in comma-separated list property");
    else if (defaultKey === undefined)
      throw new StringFault("value without key, but schema does not define a default key");
    else if (parts[defaultKey] !== undefined)
      throw new StringFault(`duplicate key in comma-separated list property: ${defaultKey}`);
    else parts[defaultKey] = part;
  }
  return parts;
}

function addPair(parts: Parts, shape: Properties, given: string, value: string): void {
  if (parts[given] !== undefined)
    throw new StringFault(`duplicate key in comma-separated list property: ${given}`);
  let key = given;
  const alias = shape[given]?.alias;
  if (alias !== undefined) {
    const keyAlias = shape[given]?.keyAlias;
    if (keyAlias !== undefined) {
      if (parts[keyAlias] !== undefined) throw new StringFault(`key alias '${keyAlias}' is already defined`);
      parts[keyAlias] = given;
    }
    key = alias;
  }
  parts[key] = shape[key]?.type === "boolean" ? (parseBoolean(value) ?? value) : value;
}

/** PVE's `print_property_string`: the default key first and bare, a key alias as `model=mac`, then what is required, then the rest by name. */
export function joinString(parts: Parts, shape: Properties): string {
  const left = new Map(Object.entries(parts));
  const out: string[] = [];
  const defaultKey = Object.keys(shape).find((key) => shape[key]?.defaultKey);
  const aliased = Object.values(shape).find((option) => option.keyAlias !== undefined && option.keyAlias === defaultKey);
  if (defaultKey !== undefined && left.has(defaultKey)) {
    const value = left.get(defaultKey) ?? "";
    left.delete(defaultKey);
    const target = aliased?.alias;
    const of = target === undefined ? undefined : left.get(target);
    if (target !== undefined && of !== undefined) {
      out.push(`${value}=${of}`);
      left.delete(target);
    } else out.push(value);
  }
  const rank = (key: string): number => (shape[key]?.optional === true ? 1 : 0);
  const rest = [...left.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  for (const key of rest) out.push(`${key}=${left.get(key) ?? ""}`);
  return out.join(",");
}
