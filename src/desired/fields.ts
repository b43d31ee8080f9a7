import { parseQuantity } from "../model/quantity.js";
import type { Kind } from "../model/ref.js";
import type { Schema } from "./schema/build.js";
import { KIND_SCHEMAS, childSchema, schemaAt } from "./schema/index.js";
import { NAME_FIELD } from "./types.js";
import type { FieldValue, Fields } from "./types.js";

/** Parts of a spec that say where and how, not what the configuration is. */
const NO_FIELDS = new Set(["node", "vmid", "power", "from", "lifecycle", "dependsOn", "hostname"]);

/**
 * A validated spec as flat fields: quantities in bytes, tags as PVE stores them, MACs in upper case, the name included.
 * An empty list is a value; an empty map of slots declares nothing.
 */
export function flattenSpec(kind: Kind, name: string, spec: Readonly<Record<string, unknown>>): Fields {
  const fields: Record<string, FieldValue> = {};
  const hostname = spec["hostname"];
  fields[NAME_FIELD[kind]] = typeof hostname === "string" ? hostname : name;
  const schema = schemaAt(KIND_SCHEMAS[kind], ["spec"]);
  for (const [key, value] of Object.entries(spec)) {
    if (!NO_FIELDS.has(key)) flatten(childSchema(schema, key), key, value, fields);
  }
  return fields;
}

function flatten(schema: Schema | undefined, path: string, value: unknown, into: Record<string, FieldValue>): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, child] of Object.entries(value)) flatten(childSchema(schema, key), `${path}.${key}`, child, into);
    return;
  }
  into[path] = leaf(schema ?? {}, path, value);
}

function leaf(schema: Schema, path: string, value: unknown): FieldValue {
  if (Array.isArray(value)) return listOf(path, value.map(String));
  // PVE keys have no field of their own: text, with PVE's booleans
  if (path.startsWith("extraConfig.")) return typeof value === "boolean" ? (value ? "1" : "0") : String(value);
  if (schema.quantity !== undefined && (typeof value === "string" || typeof value === "number")) {
    return parseQuantity(value) ?? 0;
  }
  if (typeof value === "number" || typeof value === "boolean") return value;
  const text = String(value);
  if (path === "description") return text.replace(/[\r\n]+$/, "");
  return schema.format === "mac" ? text.toUpperCase() : text;
}

function listOf(path: string, values: readonly string[]): readonly string[] {
  if (path === "tags") return [...new Set(values.map((tag) => tag.toLowerCase()))].sort();
  return path === "cloudInit.sshKeys" ? values.map((key) => key.trim()) : values;
}
