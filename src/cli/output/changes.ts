import type { FieldChange, ResourceName } from "../../history/types.js";
import type { Json } from "../../model/json.js";

const SHORT = { node: "node", vm: "vm", container: "ct", storage: "storage" } as const;

/** `vm/web-01`, `node/pve1`: the name, else the id. */
export function nameOf(object: ResourceName): string {
  return `${SHORT[object.type]}/${object.name ?? object.id}`;
}

/** `memory: 2048 → 4096`. */
export function changeLine(change: FieldChange): string {
  return `${change.path}: ${valueText(change.from)} → ${valueText(change.to)}`;
}

/** A value on one line. */
export function valueText(value: Json | undefined): string {
  if (value === undefined || value === null) return "(none)";
  return typeof value === "string" && /^[^\n"]+$/.test(value) ? value : JSON.stringify(value);
}
