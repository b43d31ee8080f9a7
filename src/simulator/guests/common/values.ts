import { createHash } from "node:crypto";
import type { Guest, GuestKind } from "../../state/model.js";
import { CALL_SHAPES } from "../../table/table.js";

const shapeOf = (kind: GuestKind) => CALL_SHAPES.get(`POST /nodes/{node}/${kind}`)?.params ?? {};
const SHAPES = { qemu: shapeOf("qemu"), lxc: shapeOf("lxc") };
/** Keys that PVE keeps in a config although no call takes them. */
const NUMBERS_BESIDES = new Set(["template", "snaptime"]);

/** A configuration value with the type that PVE's answers have: numbers for integers and booleans, else text. */
export function typed(kind: GuestKind, key: string, value: string): string | number {
  const type = SHAPES[kind][key]?.type;
  if (type === "integer" || type === "boolean" || NUMBERS_BESIDES.has(key)) {
    return /^-?\d+$/.test(value) ? Number(value) : value;
  }
  return value;
}

/** What a value reads like after it went through PVE's file: blanks at the ends go, an empty one becomes a blank. */
export function asLine(value: string): string {
  const line = value.trim();
  return line === "" ? " " : line;
}

/** SHA-1 over what the file holds; equal contents have equal digests. */
export function computeDigest(guest: Guest): string {
  const sorted = (of: object): [string, unknown][] => Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = [guest.config, guest.pending, guest.pendingDelete, guest.snapshots].map((part) => sorted(part));
  return createHash("sha1").update(JSON.stringify(parts)).digest("hex");
}

const MASK = "**********";

export const masked = (key: string, value: string): string => (key === "cipassword" ? MASK : value);

/** The config as `GET config` shows it: with pending values, or (`current`) what is in force. */
export function shownConfig(guest: Guest, current: boolean): Record<string, string> {
  const shown = { ...guest.config };
  if (!current) {
    Object.assign(shown, guest.pending);
    for (const key of Object.keys(guest.pendingDelete)) delete shown[key];
  }
  return shown;
}

/** All values typed and masked. */
export function typedConfig(kind: GuestKind, config: Record<string, string>): Record<string, string | number> {
  const out: Record<string, string | number> = {};
  for (const [key, value] of Object.entries(config)) out[key] = typed(kind, key, masked(key, value));
  return out;
}

interface PendingRow {
  key: string;
  value?: string | number;
  pending?: string | number;
  delete?: 1 | 2;
}

/** The rows of `GET pending`. */
export function pendingRows(guest: Guest, digest: string): PendingRow[] {
  const show = (key: string, value: string): string | number => typed(guest.kind, key, masked(key, value));
  const rows: PendingRow[] = [];
  for (const [key, value] of Object.entries(guest.config)) {
    const row: PendingRow = { key, value: show(key, value) };
    const next = guest.pending[key];
    if (next !== undefined) row.pending = show(key, next);
    if (guest.pendingDelete[key] !== undefined) row.delete = guest.pendingDelete[key] === true ? 2 : 1;
    rows.push(row);
  }
  for (const [key, value] of Object.entries(guest.pending))
    if (guest.config[key] === undefined) rows.push({ key, pending: show(key, value) });
  rows.push({ key: "digest", value: digest });
  return rows;
}

/** PVE's `cleanup_pending`: what would change nothing is forgotten. */
export function cleanPending(guest: Guest): void {
  for (const [key, value] of Object.entries(guest.pending)) if (guest.config[key] === value) delete guest.pending[key];
  for (const key of Object.keys(guest.pendingDelete))
    if (guest.config[key] === undefined) delete guest.pendingDelete[key];
}

/** The text of the config lock, refused with PVE's words. */
export function lockedText(guest: Guest): string | undefined {
  const lock = guest.config["lock"];
  return lock === undefined ? undefined : `${guest.kind === "qemu" ? "VM" : "CT"} is locked (${lock})`;
}
