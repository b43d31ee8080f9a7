import { hash } from "node:crypto";
import type { Kind } from "../model/ref.js";
import type { ObservedState } from "../observed/types.js";
import { containers, containerTags, vms, vmTags } from "./entities/cluster.js";
import type { ContainerRow, VmRow } from "./entities/cluster.js";
import type { Table } from "./entities/table.js";
import { containerRecord, vmRecord } from "./observed-rows.js";
import type { SeenGuest } from "./observed-rows.js";
import { chunks, deleteIn, findAll, insertMany } from "./rows.js";
import type { Tx } from "./rows.js";
import { queryRows } from "./sql.js";

type GuestRow = VmRow | ContainerRow;

/** What differs between the two tables of guests. */
interface GuestSide<T extends GuestRow> {
  readonly type: "vm" | "container";
  readonly kind: Kind;
  readonly table: Table<T>;
  readonly record: (seen: SeenGuest, before: T | undefined, at: number) => T;
  /** Makes the rows of the side table equal to the records' tags. */
  readonly writeTags: (tx: Tx, records: readonly Tagged[]) => Promise<void>;
}

interface Tagged {
  readonly id: number;
  readonly tags: readonly string[];
}

/** Rows whose tags are replaced at once. */
const CHUNK = 1000;

export const VMS: GuestSide<VmRow> = {
  type: "vm",
  kind: "VirtualMachine",
  table: vms,
  record: vmRecord,
  writeTags: async (tx, records) => {
    for (const chunk of chunks(records, CHUNK)) {
      await deleteIn(tx, vmTags, "vmId", ids(chunk));
      await insertMany(
        tx,
        vmTags,
        tagRows(chunk, (vmId, tag) => ({ vmId, tag })),
      );
    }
  },
};

export const CONTAINERS: GuestSide<ContainerRow> = {
  type: "container",
  kind: "Container",
  table: containers,
  record: containerRecord,
  writeTags: async (tx, records) => {
    for (const chunk of chunks(records, CHUNK)) {
      await deleteIn(tx, containerTags, "containerId", ids(chunk));
      await insertMany(
        tx,
        containerTags,
        tagRows(chunk, (containerId, tag) => ({ containerId, tag })),
      );
    }
  },
};

function ids(records: readonly Tagged[]): number[] {
  return records.map((record) => record.id);
}

function tagRows<R>(records: readonly Tagged[], row: (id: number, tag: string) => R): R[] {
  return records.flatMap(({ id, tags }) => [...new Set(tags)].map((tag) => row(id, tag)));
}

/** A guest as the fresher of its two sources has it: its own read, else the list. */
export function seenGuests(observed: ObservedState): ReadonlyMap<number, SeenGuest> {
  const guests = new Map<number, SeenGuest>(observed.summaries);
  for (const [vmid, sight] of observed.sights) {
    if (sight.at === "present") guests.set(vmid, sight.guest);
    if (sight.at === "absent") guests.delete(vmid);
  }
  return guests;
}

/** What a look does to one table of guests. */
interface GuestMerge<T> {
  readonly type: "vm" | "container";
  readonly before: ReadonlyMap<number, T>;
  readonly after: readonly T[];
  readonly gone: readonly number[];
  readonly same: readonly number[];
}

/**
 * Compares hashes first and reads only the rows of guests that are not what they were: of 10,000 unchanged guests not
 * one configuration is read.
 */
export async function mergeGuests<T extends GuestRow>(
  tx: Tx,
  side: GuestSide<T>,
  { observed, guests }: { observed: ObservedState; guests: ReadonlyMap<number, SeenGuest> },
): Promise<GuestMerge<T>> {
  const known = await readHashes(tx, side.table);
  const kept = new Set<number>();
  const same: number[] = [];
  const other: [SeenGuest, string][] = [];
  for (const guest of guests.values()) {
    if (guest.kind !== side.kind) continue;
    kept.add(guest.vmid);
    const sum = hashOf(guest);
    // The list of a silent node's guests says nothing but that they exist.
    const silent = guest.status === "unknown" && guest.config === undefined;
    if (known.get(guest.vmid) === sum) same.push(guest.vmid);
    else if (!silent || !known.has(guest.vmid)) other.push([guest, sum]);
  }
  const isGone = (vmid: number): boolean => {
    if (kept.has(vmid)) return false;
    const sight = observed.sights.get(vmid)?.at;
    // A vmid belongs to one guest: seen as the other kind, this one is gone.
    return sight === "absent" || guests.has(vmid) || (observed.complete && sight !== "unreadable");
  };
  const gone = [...known.keys()].filter(isGone);
  const changed = other.map(([guest]) => guest.vmid).filter((vmid) => known.has(vmid));
  const before = await readRows(tx, side.table, [...changed, ...gone]);
  const after = other.map(([guest, observedHash]) => {
    return { ...side.record(guest, before.get(guest.vmid), observed.takenAt), observedHash };
  });
  return { type: side.type, before, after, gone, same };
}

/** The records whose tags are not those of the row. */
export function retagged<T extends Tagged>(merge: {
  readonly before: ReadonlyMap<number, T>;
  readonly after: readonly T[];
}): T[] {
  return merge.after.filter((record) => {
    const before = merge.before.get(record.id)?.tags ?? [];
    return before.length !== record.tags.length || before.some((tag, at) => tag !== record.tags[at]);
  });
}

/** Goes up when rows are made of the same observation in another way. */
const FORM = 1;

/** Of all that a row is made of. PVE gives a configuration's keys in any order. */
function hashOf(guest: SeenGuest): string {
  const { config = {}, pending = {}, ...rest } = guest;
  const keys = Object.keys(config).sort();
  const own = { ...rest, fields: undefined, pendingFields: undefined };
  const waiting = Object.entries(pending).sort(([a], [b]) => (a < b ? -1 : 1));
  return hash("md5", JSON.stringify([FORM, own, keys, keys.map((key) => config[key]), waiting]), "base64");
}

async function readHashes(tx: Tx, table: { readonly name: string }): Promise<Map<number, string | null>> {
  const sql = `SELECT id, observed_hash AS hash FROM "${table.name}"`;
  const rows = await queryRows<{ id: number; hash: string | null }>(tx.runner, sql);
  return new Map(rows.map((row) => [row.id, row.hash]));
}

async function readRows<T extends GuestRow>(
  tx: Tx,
  table: Table<T>,
  vmids: readonly number[],
): Promise<Map<number, T>> {
  const rows = new Map<number, T>();
  for (const chunk of chunks(vmids, CHUNK)) {
    for (const row of await findAll(tx, table, (q) => q.where("t.id IN (:...chunk)", { chunk }))) rows.set(row.id, row);
  }
  return rows;
}
