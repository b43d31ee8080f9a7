import { refKey } from "../model/ref.js";
import { formatValue } from "../plan/format.js";
import type { Change, FieldDiff } from "../plan/types.js";
import type { EventRecord } from "./types.js";

const REASONS: Record<Change["action"], string> = {
  create: "Created",
  update: "Updated",
  replace: "Replaced",
  delete: "Deleted",
  adopt: "Adopted",
  keep: "Unchanged",
  blocked: "Blocked",
};

/** What is told of a change that was made. */
export function doneEvent(change: Change): Omit<EventRecord, "time"> {
  const { action, ref } = change;
  const message = (action === "update" && describeDifference(change)) || action;
  return { type: "Normal", reason: REASONS[action], message, ref: refKey(ref) };
}

/** `memory: 1Gi → 2Gi; power: stopped → running`. */
export function describeDifference({ fields, power }: Pick<Change, "fields" | "power">): string {
  const text = (path: string, value: FieldDiff["to"]) => (value === undefined ? "default" : formatValue(path, value));
  const parts = fields.map(({ path, from, to }) => `${path}: ${text(path, from)} → ${text(path, to)}`);
  return [...parts, ...(power ? [`power: ${power.from} → ${power.to}`] : [])].join("; ");
}
