import { QUANTITY_PATTERN } from "../../../src/model/quantity.js";
import type { Schema } from "../../../src/desired/schema/build.js";
import { API_VERSION } from "../../../src/desired/schema/common.js";
import { KIND_SCHEMAS, KINDS } from "../../../src/desired/schema/index.js";

type JsonSchema = Record<string, unknown>;

/** What schema/proxmoor.schema.json holds: plain JSON Schema draft-07, with the help that editors show. */
export function editorSchema(): JsonSchema {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "A manifest of Proxmoor",
    type: "object",
    required: ["apiVersion", "kind"],
    properties: {
      apiVersion: { type: "string", description: "The version of this format.", default: API_VERSION },
      kind: { type: "string", description: "What is declared.", enum: [...KINDS, "List"] },
    },
    allOf: [
      ...KINDS.map((kind) => ifKind(kind, { $ref: `#/definitions/${kind}` })),
      ifKind("List", {
        required: ["items"],
        properties: { items: { type: "array", description: "The objects.", items: { $ref: "#" } } },
      }),
    ],
    definitions: Object.fromEntries(KINDS.map((kind) => [kind, plain(KIND_SCHEMAS[kind])])),
  };
}

function ifKind(kind: string, then: JsonSchema): JsonSchema {
  return { if: { properties: { kind: { const: kind } }, required: ["kind"] }, then };
}

/** Without the words that are ours: `quantity` becomes a pattern, `format` has one where there can be one. */
function plain(schema: Schema): JsonSchema {
  const { quantity, keys: _keys, format: _format, items, properties, patternProperties, ...rest } = schema;
  return {
    ...rest,
    ...(quantity === undefined ? {} : { pattern: QUANTITY_PATTERN, minimum: quantity.minimum }),
    ...(items === undefined ? {} : { items: plain(items) }),
    ...(properties === undefined ? {} : { properties: each(properties) }),
    ...(patternProperties === undefined ? {} : { patternProperties: each(patternProperties) }),
  };
}

function each(schemas: Readonly<Record<string, Schema>>): JsonSchema {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, plain(schema)]));
}
