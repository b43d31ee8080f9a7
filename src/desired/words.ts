import { formatQuantity } from "../model/quantity.js";
import { FORMATS } from "./formats.js";
import type { QuantityRule, Schema } from "./schema/build.js";

/** `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}

/** What a schema allows, in words: for messages and for the reference. */
export function allowedBy(schema: Schema): string {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return alternatives(schema.enum);
  if (schema.quantity !== undefined) return allowedQuantity(schema.quantity);
  if (schema.format !== undefined) return FORMATS[schema.format].allowed + lengthLimit(schema);
  switch (schema.type) {
    case "boolean":
      return "true or false";
    case "integer":
      return `a whole number${range(schema)}`;
    case "number":
      return `a number${range(schema)}`;
    case "string":
      return `text${lengthLimit(schema)}`;
    case "array":
      return "a list" + (schema.items === undefined ? "" : `, each ${allowedBy(schema.items)}`);
    case "object":
      return allowedKeys(schema);
    default:
      return "text, a number, true or false";
  }
}

/** What keys a map may have. */
export function allowedKeys(schema: Schema): string {
  if (schema.keys !== undefined) return `a map by ${schema.keys.what}: ${schema.keys.allowed}`;
  return `a map with ${Object.keys(schema.properties ?? {}).join(", ")}`;
}

function allowedQuantity(rule: QuantityRule): string {
  const least = rule.minimum > 0 ? `, ${formatQuantity(rule.minimum)} or more` : "";
  return `a quantity such as 512Mi or 4Gi, in steps of ${formatQuantity(rule.step)}${least}`;
}

function range({ minimum, maximum }: Schema): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `, ${minimum} or more`;
  return maximum === undefined ? "" : `, ${maximum} or less`;
}

function lengthLimit({ maxLength }: Schema): string {
  return maxLength === undefined ? "" : `, at most ${maxLength} characters`;
}

/** Text, a number or a boolean as text; empty for everything else. */
export function scalarText(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

/** A value as a message shows it: short, on one line. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  return scalarText(value);
}

/** `spec.disks.scsi0.size`, `spec.tags[0]`, `metadata.labels["a/b"]`. */
export function pathText(path: readonly (string | number)[]): string {
  let result = "";
  for (const step of path) {
    if (typeof step === "number") result += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) result += result === "" ? step : `.${step}`;
    else result += `[${show(step)}]`;
  }
  return result === "" ? "the manifest" : result;
}
