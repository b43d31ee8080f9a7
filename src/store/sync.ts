import type { NodeRecord, ResourceType, SnapshotRecord, StorageRecord, SyncResult } from "../history/types.js";
import type { ObservedState } from "../observed/types.js";
import { difference, snapshotData } from "../history/changes.js";
import { containers, nodes, nodeStorage, stateSnapshots, storage, vms } from "./entities/cluster.js";
import type { Table } from "./entities/table.js";
import { ensureNodes } from "./nodes.js";
import { nodeRecord, nodeStorageRows, storageRecord } from "./observed-rows.js";
import type { SeenGuest } from "./observed-rows.js";
import { CONTAINERS, VMS, mergeGuests, retagged, seenGuests } from "./sync-guests.js";
import { deleteIn, deleteWhere, findAll, findOne, insertMany, insertNumbered, markAll, serialise } from "./rows.js";
import type { Tx } from "./rows.js";
import { linkTasks } from "./task-links.js";

/** The status of a node that left the cluster: its row stays, since tasks and history refer to it. */
export const REMOVED = "removed";

type Id = string | number;
type Snapshot = Omit<SnapshotRecord, "id">;

interface Stored {
  readonly nodes: ReadonlyMap<string, NodeRecord>;
  readonly storages: ReadonlyMap<string, StorageRecord>;
  /** When the cluster was looked at before; undefined: never. */
  readonly lastSync: number | undefined;
  readonly lastSnapshot: number;
}

/** What a synchronisation does to one table. */
export interface Merge<K extends Id, T extends { readonly id: K }> {
  readonly type: ResourceType;
  /** The rows that count as being there. */
  readonly before: ReadonlyMap<K, T>;
  readonly after: readonly T[];
  /** Ids of rows whose objects are gone. */
  readonly gone: readonly K[];
  /** Ids of rows that are surely what they were. */
  readonly same?: readonly K[];
}

/** The records of one table: those to write, those only seen again, and what is remembered of it. */
interface Outcome<K extends Id, T> {
  readonly write: readonly T[];
  readonly seen: readonly K[];
  readonly snapshots: readonly Snapshot[];
  readonly result: SyncResult;
}

/** A look that is older than the stored one by less than this was overtaken; by more: a clock was set back. */
const OVERTAKEN_MS = 60_000;

/** Writes one look at the cluster: parents before children, so that foreign keys hold. See StateStore.sync. */
export async function syncState(tx: Tx, observed: ObservedState): Promise<SyncResult> {
  // Two that synchronise at once would both compare with the same rows.
  await serialise(tx, "proxmoor sync");
  const stored = await readStored(tx);
  const late = (stored.lastSync ?? 0) - observed.takenAt;
  if (late > 0 && late < OVERTAKEN_MS) return { created: 0, updated: 0, deleted: 0, unchanged: 0 };
  const guests = seenGuests(observed);
  const judge = <K extends Id, T extends { readonly id: K }>(merge: Merge<K, T>) => judgeMerge(merge, observed, stored);

  const nodeMerge = mergeNodes(stored, observed);
  const nodeOutcome = judge(nodeMerge);
  await writeOutcome(tx, nodes, nodeOutcome, observed.takenAt);
  await insertMany(tx, nodes, removedNodes(nodeMerge), { onConflict: "update" });
  await ensureNodes(
    tx,
    [...mentionedNodes(observed, guests)].filter((name) => !stored.nodes.has(name)),
  );

  const storageMerge = mergeStorages(stored, observed);
  const storageOutcome = judge(storageMerge);
  await writeOutcome(tx, storage, storageOutcome, observed.takenAt);
  await deleteIn(tx, storage, "id", storageMerge.gone);
  await writeNodeStorage(tx, observed);

  const vmMerge = await mergeGuests(tx, VMS, { observed, guests });
  const ctMerge = await mergeGuests(tx, CONTAINERS, { observed, guests });
  const [vmOutcome, ctOutcome] = [judge(vmMerge), judge(ctMerge)];
  await deleteIn(tx, vms, "id", vmMerge.gone);
  await deleteIn(tx, containers, "id", ctMerge.gone);
  await writeOutcome(tx, vms, vmOutcome, observed.takenAt);
  await writeOutcome(tx, containers, ctOutcome, observed.takenAt);
  await VMS.writeTags(tx, retagged(vmMerge));
  await CONTAINERS.writeTags(tx, retagged(ctMerge));

  const outcomes = [nodeOutcome, storageOutcome, vmOutcome, ctOutcome];
  const snapshots = outcomes.flatMap((outcome) => outcome.snapshots);
  await insertNumbered(tx, stateSnapshots, await linkTasks(tx, snapshots, stored.lastSync));
  return sum(outcomes.map((outcome) => outcome.result));
}

async function readStored(tx: Tx): Promise<Stored> {
  const nodeRows = byId(await findAll(tx, nodes));
  const seen = [...nodeRows.values()].map((node) => node.lastSeen ?? 0);
  return {
    nodes: nodeRows,
    storages: byId(await findAll(tx, storage)),
    lastSync: seen.some((time) => time > 0) ? Math.max(...seen) : undefined,
    lastSnapshot: await newestSnapshot(tx),
  };
}

async function newestSnapshot(tx: Tx): Promise<number> {
  const newest = await findOne(tx, stateSnapshots, (q) => q.orderBy("t.snapshotTime", "DESC"));
  return newest?.snapshotTime ?? 0;
}

function byId<T extends { readonly id: Id }>(records: readonly T[]): Map<T["id"], T> {
  return new Map(records.map((record) => [record.id, record]));
}

function mentionedNodes(observed: ObservedState, guests: ReadonlyMap<number, SeenGuest>): Set<string> {
  const listed = new Set(observed.nodes.map((node) => node.name));
  const mentioned = [
    ...[...guests.values()].map((guest) => guest.node),
    ...observed.storages.flatMap((seen) => seen.nodes.map((node) => node.node)),
  ];
  return new Set(mentioned.filter((name) => !listed.has(name)));
}

function mergeNodes(stored: Stored, observed: ObservedState): Merge<string, NodeRecord> {
  // Rows made for a reference only, and those of nodes that left, are not there for history.
  const before = new Map([...stored.nodes].filter(([, node]) => node.type !== undefined && node.status !== REMOVED));
  const after = observed.nodes.map((seen) => nodeRecord(seen, stored.nodes.get(seen.name), observed.takenAt));
  return { type: "node", before, after, gone: vanished(before, after, observed.complete) };
}

function removedNodes({ before, gone }: Merge<string, NodeRecord>): NodeRecord[] {
  return [...before.values()].filter((node) => gone.includes(node.id)).map((node) => ({ ...node, status: REMOVED }));
}

function mergeStorages(stored: Stored, observed: ObservedState): Merge<string, StorageRecord> {
  const before = stored.storages;
  const after = observed.storages.map((seen) => storageRecord(seen, before.get(seen.id), observed.takenAt));
  return { type: "storage", before, after, gone: vanished(before, after, observed.complete) };
}

function vanished(
  before: ReadonlyMap<string, unknown>,
  after: readonly { readonly id: string }[],
  complete: boolean,
): string[] {
  const present = new Set(after.map((record) => record.id));
  return complete ? [...before.keys()].filter((id) => !present.has(id)) : [];
}

function judgeMerge<K extends Id, T extends { readonly id: K }>(
  merge: Merge<K, T>,
  observed: ObservedState,
  stored: Stored,
): Outcome<K, T> {
  const write: T[] = [];
  const seen: K[] = [];
  const snapshots: Snapshot[] = [];
  const snapshot = (record: T, changeType: SnapshotRecord["changeType"], changedPaths: readonly string[]) =>
    snapshots.push({
      // Times follow the order of writing, whatever a clock did: the state at a time is what was written up to it.
      snapshotTime: Math.max(observed.takenAt, stored.lastSnapshot),
      resourceType: merge.type,
      resourceId: String(record.id),
      resourceData: snapshotData(record),
      changeType,
      changedPaths,
    });
  const counts = { created: 0, updated: 0, deleted: 0, unchanged: merge.same?.length ?? 0 };
  seen.push(...(merge.same ?? []));
  for (const record of merge.after) {
    const before = merge.before.get(record.id);
    const { paths, counters } = before === undefined ? { paths: [], counters: false } : difference(before, record);
    if (before === undefined) {
      counts.created += 1;
      // What is there at the very first look was made before it.
      snapshot(record, stored.lastSync === undefined ? "discovered" : "created", []);
    } else if (paths.length > 0) {
      counts.updated += 1;
      snapshot(record, "updated", paths);
    } else counts.unchanged += 1;
    if (before === undefined || paths.length > 0 || counters || isNewHash(before, record)) write.push(record);
    else seen.push(record.id);
  }
  for (const id of merge.gone) {
    const record = merge.before.get(id);
    if (record === undefined) continue;
    counts.deleted += 1;
    snapshot(record, "deleted", []);
  }
  return { write, seen, snapshots, result: counts };
}

/** Written without a snapshot: it is for the next look only. */
function isNewHash(before: object, after: object): boolean {
  const of = (row: { readonly observedHash?: string }) => row.observedHash;
  return of(before) !== of(after);
}

async function writeOutcome<K extends Id, T extends { readonly id: K; readonly lastSeen?: number }>(
  tx: Tx,
  table: Table<T>,
  outcome: Outcome<K, T>,
  at: number,
): Promise<void> {
  await insertMany(tx, table, outcome.write, { onConflict: "update" });
  await markAll(tx, table, { column: "lastSeen", value: at, by: "id" }, outcome.seen);
}

/** The relation follows what was observed; of storages that were not, it stays. */
async function writeNodeStorage(tx: Tx, observed: ObservedState): Promise<void> {
  const rows = observed.storages.flatMap(nodeStorageRows);
  const wanted = new Map(rows.map((row) => [pairKey(row), row]));
  const observedIds = new Set(observed.storages.map((seen) => seen.id));
  const stored = await findAll(tx, nodeStorage);
  for (const row of stored) {
    if (!observedIds.has(row.storageId) || wanted.has(pairKey(row))) continue;
    await deleteWhere(tx, nodeStorage, { nodeId: row.nodeId, storageId: row.storageId });
  }
  const before = new Map(stored.map((row) => [pairKey(row), row]));
  const changed = rows.filter((row) => {
    const known = before.get(pairKey(row));
    if (known === undefined) return true;
    const { paths, counters } = difference(known, row);
    return paths.length > 0 || counters;
  });
  await insertMany(tx, nodeStorage, changed, { onConflict: "update" });
}

function pairKey(row: { readonly nodeId: string; readonly storageId: string }): string {
  return JSON.stringify([row.nodeId, row.storageId]);
}

function sum(results: readonly SyncResult[]): SyncResult {
  return results.reduce((a, b) => ({
    created: a.created + b.created,
    updated: a.updated + b.updated,
    deleted: a.deleted + b.deleted,
    unchanged: a.unchanged + b.unchanged,
  }));
}
