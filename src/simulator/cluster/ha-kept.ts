import { createHash } from "node:crypto";
import { ApiFault, fail } from "../fault.js";
import type { Call } from "../call.js";
import type { Document } from "../state/model.js";

/** The files of high availability: resources, whose guests `guests/common/ha.ts` starts and stops, and rules. */
export type HaKind = "ha-resources" | "ha-rules";

const NUMBERS = new Set(["max_restart", "max_relocate", "failback", "disable", "strict", "order"]);

export const kept = (call: Call, kind: HaKind): Record<string, Document> => (call.state.documents[kind] ??= {});

export function digestOf(call: Call, kind: HaKind): string {
  return createHash("sha1")
    .update(JSON.stringify(kept(call, kind)))
    .digest("hex");
}

/** As answers have it: numbers for what counts or switches, and the file's digest. */
export function shown(call: Call, kind: HaKind, document: Document): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(document)) out[key] = NUMBERS.has(key) ? Number(value) : value;
  return { ...out, digest: digestOf(call, kind) };
}

/** `vm:100`, `ct:200`, or an id alone. @throws PVE's text for an id that no guest has */
export function fullSid(call: Call, sid: string): string {
  if (sid.includes(":")) return sid;
  const guest = call.world.guest(Number(sid));
  if (guest === undefined) fail(`unable to detect SID from VMID - VM/CT ${sid} does not exist`);
  return `${guest.kind === "qemu" ? "vm" : "ct"}:${sid}`;
}

/** The given fields as the file keeps them. */
export function given(call: Call, fields: readonly string[]): Document {
  const out: Document = {};
  for (const key of fields) {
    const value = call.text(key);
    if (value !== undefined) out[key] = key === "state" && value === "enabled" ? "started" : value;
  }
  return out;
}

/** PVE's `delete_from_config` and digest test of a section that changes. */
export function change(call: Call, kind: HaKind, document: Document, fields: readonly string[]): void {
  const digest = call.text("digest");
  if (digest !== undefined && digest !== digestOf(call, kind))
    fail("detected modified configuration - file changed by other user? Try again.");
  const next = given(call, fields);
  for (const key of call.list("delete")) {
    if (!fields.includes(key)) fail(`no such option '${key}'`);
    if (next[key] !== undefined) fail(`cannot set and delete property '${key}' at the same time!`);
  }
  for (const key of call.list("delete")) delete document[key];
  Object.assign(document, next);
  call.world.changed();
}

/** A rule that can't hold: PVE's 400 with its own headline. */
export function infeasible(rule: string, errors: Readonly<Record<string, string>>): never {
  throw new ApiFault(400, `Rule '${rule}' is invalid.`, errors);
}
