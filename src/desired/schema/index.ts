import type { Kind } from "../../model/ref.js";
import type { Schema } from "./build.js";
import { container } from "./container.js";
import { virtualMachine } from "./virtual-machine.js";

/** The manifests' schema by kind: what is checked, and what schema/ and docs/reference/manifest.md are written from. */
export const KIND_SCHEMAS: Readonly<Record<Kind, Schema>> = { VirtualMachine: virtualMachine, Container: container };

export const KINDS = Object.keys(KIND_SCHEMAS) as Kind[];

/** The schema of one key of a map, or undefined where the key is not allowed. */
export function childSchema(schema: Schema | undefined, key: string): Schema | undefined {
  if (schema === undefined) return undefined;
  if (schema.items !== undefined) return schema.items;
  const { properties = {}, patternProperties = {} } = schema;
  if (Object.hasOwn(properties, key)) return properties[key];
  return Object.entries(patternProperties).find(([pattern]) => new RegExp(pattern, "u").test(key))?.[1];
}

/** The schema at a path below a kind's root. */
export function schemaAt(schema: Schema, path: readonly string[]): Schema | undefined {
  return path.reduce<Schema | undefined>((at, key) => childSchema(at, key), schema);
}
