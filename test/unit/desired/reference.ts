import type { Schema } from "../../../src/desired/schema/build.js";
import { KIND_SCHEMAS, KINDS } from "../../../src/desired/schema/index.js";
import { allowedBy } from "../../../src/desired/words.js";

const HEAD = `# Manifest reference

<!-- Written from the schema in src/desired/schema by a test; do not edit. UPDATE_GOLDEN=1 writes it anew. -->

Every field of every kind. What a manifest does not mention keeps the value it has; how manifests are read and checked is
told in [the guide](../guide/manifests.md). Editors complete and check with
[\`schema/proxmoor.schema.json\`](../../schema/proxmoor.schema.json).
`;

/** The text of docs/reference/manifest.md. */
export function manifestReference(): string {
  return [HEAD, ...KINDS.map((kind) => kindPage(kind, KIND_SCHEMAS[kind]))].join("\n");
}

function kindPage(kind: string, schema: Schema): string {
  const rows = [...rowsOf(schema, "")];
  const table = ["| Field | Type | Allowed | What it is |", "| --- | --- | --- | --- |", ...rows].join("\n");
  return `## ${kind}\n\n${schema.description ?? ""}\n\n${table}\n`;
}

function* rowsOf(schema: Schema, path: string): Generator<string> {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const at = name.includes("/") ? `${path}["${name}"]` : path === "" ? name : `${path}.${name}`;
    yield row(at, child, schema.required?.includes(name) ?? false);
    yield* rowsOf(child, at);
  }
  const [slot] = Object.values(schema.patternProperties ?? {});
  if (slot === undefined) return;
  const at = `${path}.<${schema.keys?.what.split(" ").at(-1) ?? "name"}>`;
  yield row(at, slot, false);
  yield* rowsOf(slot, at);
}

function row(path: string, schema: Schema, required: boolean): string {
  const preset = schema.default === undefined ? "" : ` Default: \`${schema.default}\`.`;
  const cells = [
    `\`${path}\`${required ? " (required)" : ""}`,
    typeOf(schema),
    allowedCell(schema),
    `${schema.description ?? ""}${preset}`,
  ];
  return `| ${cells.map((cell) => cell.replace(/\|/g, "\\|")).join(" | ")} |`;
}

function typeOf(schema: Schema): string {
  if (schema.quantity !== undefined) return "quantity";
  const types: Record<string, string> = { array: "list", object: "map", string: "text", integer: "whole number" };
  return [schema.type ?? []]
    .flat()
    .map((type) => types[type] ?? type)
    .join(" or ");
}

function allowedCell(schema: Schema): string {
  if (schema.type === "object") return schema.keys?.allowed ?? "";
  const allowed = allowedBy(schema.items ?? schema);
  return schema.items === undefined ? allowed : `each ${allowed}`;
}
