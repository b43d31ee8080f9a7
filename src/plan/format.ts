import type { FieldValue } from "../desired/types.js";
import { formatQuantity } from "../model/quantity.js";

const BYTES = /^(memory|swap)$|\.size$/;

/** A field's value as a person writes it in a manifest. */
export function formatValue(path: string, value: FieldValue): string {
  if (typeof value === "number" && BYTES.test(path)) return formatQuantity(value);
  if (Array.isArray(value)) return `[${value.join(", ")}]`;
  const text = String(value);
  return /^$|[\p{Cc}#]|^\s|\s$/u.test(text) ? JSON.stringify(text) : text;
}
