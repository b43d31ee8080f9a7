import { stringify } from "yaml";

/** JSON with bigints exact, as numbers: 2^63-1 stays 9223372036854775807. Two blanks of indent unless `compact`. */
export function toJson(value: unknown, compact = false): string {
  return write(value, compact ? "" : "  ", "");
}

// JSON.stringify knows no bigint, and JSON.rawJSON is not in Node 20
function write(value: unknown, step: string, indent: string): string {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map) return write(Object.fromEntries(value), step, indent);
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const inner = indent + step;
  const [lead, gap, tail] = step === "" ? ["", "", ""] : [`\n${inner}`, " ", `\n${indent}`];
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => write(item, step, inner));
    return items.length === 0 ? "[]" : `[${lead}${items.join(`,${lead}`)}${tail}]`;
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined && typeof item !== "function");
  const parts = entries.map(([key, item]) => `${JSON.stringify(key)}:${gap}${write(item, step, inner)}`);
  return parts.length === 0 ? "{}" : `{${lead}${parts.join(`,${lead}`)}${tail}}`;
}

export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}
