import { ProxmoorError } from "../model/errors.js";
import type { Kind } from "../model/ref.js";

/** An object of PVE's JSON, whose keys may each be missing. */
export type WireRecord = Readonly<Record<string, unknown>>;

/** @throws ProxmoorError PVE_ANSWER where PVE's answer is no list of objects. */
export function records(data: unknown, path: string): readonly WireRecord[] {
  if (!Array.isArray(data)) throw unexpected(path, "a list");
  return data.filter((item): item is WireRecord => typeof item === "object" && item !== null);
}

/** @throws ProxmoorError PVE_ANSWER where PVE's answer is no object. */
export function record(data: unknown, path: string): WireRecord {
  if (typeof data !== "object" || data === null || Array.isArray(data)) throw unexpected(path, "an object");
  return data as WireRecord;
}

export function unexpected(path: string, expected: string): ProxmoorError {
  return new ProxmoorError("PVE_ANSWER", `PVE's answer to ${path} is not ${expected}`, { subject: path });
}

/**
 * A field without which an answer can't be understood. Taken for "nothing there", its absence would make a guest look
 * absent or without an identity, and so be made a second time.
 *
 * @throws ProxmoorError PVE_ANSWER where it is missing.
 */
export function needed<T>(value: T | undefined, field: string, path: string): T {
  if (value !== undefined) return value;
  throw new ProxmoorError("PVE_ANSWER", `PVE's answer to ${decodeURIComponent(path)} lacks "${field}"`, {
    subject: path,
    remedy:
      "Nothing is done on an answer that is not whole. Check what stands between Proxmoor and PVE, and PVE's version.",
  });
}

/** A text, also where PVE gave a number (`"2048"` of a VM, 2048 of a container); undefined where there is none. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : undefined;
}

/** A number, also where PVE gave a text; undefined where there is none. */
export function numberOf(value: unknown): number | undefined {
  const number = typeof value === "number" ? value : typeof value === "string" && value !== "" ? Number(value) : NaN;
  return Number.isFinite(number) ? number : undefined;
}

/** PVE's switches: 1, also as text. */
export function flagOf(value: unknown): boolean {
  return numberOf(value) === 1 || value === true;
}

/** Only what is there: exactOptionalPropertyTypes keeps "missing" and "undefined" apart. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

const TYPES: Record<Kind, "qemu" | "lxc"> = { VirtualMachine: "qemu", Container: "lxc" };

/** `/nodes/pve1/qemu/101`. */
export function guestPath(at: { readonly kind: Kind; readonly node: string; readonly vmid: number }): string {
  return `${guestsPath(at)}/${at.vmid}`;
}

/** `/nodes/pve1/qemu`. */
export function guestsPath(at: { readonly kind: Kind; readonly node: string }): string {
  return `/nodes/${encodeURIComponent(at.node)}/${TYPES[at.kind]}`;
}
