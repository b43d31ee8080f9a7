import { fieldChanges, withoutFigures } from "../history/changes.js";
import type { ClusterState, History, HistoryEntry, ResourceType, Retention, SnapshotRecord } from "../history/types.js";
import { ProxmoorError } from "../model/errors.js";
import type { Json } from "../model/json.js";
import type { Units } from "./database.js";
import { containers, nodes, stateSnapshots, storage, vms } from "./entities/cluster.js";
import { marks, tasks } from "./entities/control.js";
import type { TaskRow } from "./entities/control.js";
import type { Table } from "./entities/table.js";
import { thinHistory } from "./retention.js";
import { chunks, findAll, findOne } from "./rows.js";
import type { Tx } from "./rows.js";
import { queryRows } from "./sql.js";

type Filter = NonNullable<Parameters<History["entries"]>[0]>;

const DEFAULT_LIMIT = 100;

/** What things were, from the snapshots that syncs left. */
export class SqlHistory implements History {
  constructor(private readonly database: Units) {}

  entries(filter: Filter = {}): Promise<readonly HistoryEntry[]> {
    return this.database.read(async (tx) => {
      const rows = await findAll(tx, stateSnapshots, (q) => {
        if (filter.type !== undefined) q.andWhere("t.resourceType = :type", { type: filter.type });
        if (filter.ids !== undefined) q.andWhere("t.resourceId IN (:...ids)", { ids: filter.ids });
        // As text: drivers bind no bigint.
        if (filter.before !== undefined) q.andWhere("t.id < :before", { before: filter.before.toString() });
        return q.orderBy("t.id", "DESC").limit(filter.limit ?? DEFAULT_LIMIT);
      });
      return describe(tx, rows);
    });
  }

  named(type: ResourceType, name: string): Promise<readonly string[]> {
    return this.database.read(async (tx) => {
      const [current] = type === "vm" || type === "container" ? await currentIds(tx, type, name) : [name];
      if (current !== undefined) return [current];
      const field = tx.provider === "sqlite" ? "json_extract(t.resource_data, '$.name')" : "t.resource_data->>'name'";
      const rows = await findAll(tx, stateSnapshots, (q) =>
        q.where(`t.resourceType = :type AND ${field} = :name`, { type, name }).orderBy("t.id", "DESC"),
      );
      return [...new Set(rows.map((row) => row.resourceId))];
    });
  }

  at(time: number): Promise<ClusterState> {
    return this.database.read(async (tx) => {
      await refuseBefore(tx, time);
      const last = await lastUpTo(tx, time);
      const rows = await newestEach(tx, last);
      const of = <T extends { readonly id: string | number }>(type: ResourceType, table: Table<T>): T[] =>
        rows
          .filter((row) => row.resourceType === type)
          .map((row) => withoutFigures(recordOf(table, row.resourceData)))
          .sort((a, b) => (a.id < b.id ? -1 : 1));
      return {
        time,
        nodes: of("node", nodes),
        vms: of("vm", vms),
        containers: of("container", containers),
        storages: of("storage", storage),
      };
    });
  }

  thin(keep: Retention): ReturnType<History["thin"]> {
    return this.database.write((tx) => thinHistory(tx, keep));
  }
}

async function currentIds(tx: Tx, type: "vm" | "container", name: string): Promise<string[]> {
  const [rows, sql] = [type === "vm" ? vms : containers, "t.name = :name"];
  const found = await findAll<{ readonly id: number }>(tx, rows, (q) => q.where(sql, { name }));
  return found.map((row) => String(row.id));
}

/** With the values before and after, and the tasks: three statements, however many entries. */
async function describe(tx: Tx, rows: readonly SnapshotRecord[]): Promise<HistoryEntry[]> {
  const previous = await previousData(tx, rows);
  const behind = await tasksOf(tx, rows);
  return rows.map((row) => {
    const before = previous.get(row.id);
    const fields = row.changeType === "updated" ? fieldChanges(row.changedPaths, before, row.resourceData) : [];
    const task = row.taskId === undefined ? undefined : behind.get(row.taskId);
    const name = nameIn(row.resourceData);
    return {
      snapshot: row.id,
      time: row.snapshotTime,
      type: row.resourceType,
      id: row.resourceId,
      ...(name === undefined ? {} : { name }),
      change: row.changeType,
      fields,
      ...(row.user === undefined ? {} : { user: row.user }),
      ...(task === undefined ? {} : { task: taskName(task) }),
    };
  });
}

function taskName({ id, type, upid }: TaskRow): NonNullable<HistoryEntry["task"]> {
  return { id, type, ...(upid === undefined ? {} : { upid }) };
}

function nameIn(data: Json): string | undefined {
  const name = typeof data === "object" && data !== null ? (data as { name?: unknown }).name : undefined;
  return typeof name === "string" ? name : undefined;
}

/** What each object was in its snapshot before, by the id of the later one. */
async function previousData(tx: Tx, rows: readonly SnapshotRecord[]): Promise<Map<bigint, Json>> {
  const updated = rows.filter((row) => row.changeType === "updated");
  const data = new Map<bigint, Json>();
  for (const chunk of chunks(updated, 500)) {
    const sql = `SELECT CAST(s.id AS TEXT) AS id, (SELECT CAST(MAX(p.id) AS TEXT) FROM state_snapshots p WHERE p.resource_type = s.resource_type AND p.resource_id = s.resource_id AND p.id < s.id) AS previous FROM state_snapshots s WHERE s.id IN (${chunk.map((row) => row.id).join(", ")})`;
    const pairs = await queryRows<{ id: string; previous: string | null }>(tx.runner, sql);
    const ids = pairs.flatMap((pair) => pair.previous ?? []);
    if (ids.length === 0) continue;
    const found = await findAll(tx, stateSnapshots, (q) => q.where(`t.id IN (${ids.join(", ")})`));
    const byId = new Map(found.map((row) => [String(row.id), row.resourceData]));
    for (const { id, previous } of pairs) {
      const before = previous === null ? undefined : byId.get(previous);
      if (before !== undefined) data.set(BigInt(id), before);
    }
  }
  return data;
}

async function tasksOf(tx: Tx, rows: readonly SnapshotRecord[]): Promise<Map<number, TaskRow>> {
  const ids = [...new Set(rows.flatMap((row) => row.taskId ?? []))];
  const found = new Map<number, TaskRow>();
  for (const chunk of chunks(ids, 500)) {
    for (const row of await findAll(tx, tasks, (q) => q.where("t.id IN (:...chunk)", { chunk })))
      found.set(row.id, row);
  }
  return found;
}

/** Before the first look nothing is known; retention moves the limit. */
async function refuseBefore(tx: Tx, time: number): Promise<void> {
  const mark = await findOne(tx, marks, (q) => q.where("t.name = 'history since'"));
  const first = await findOne(tx, stateSnapshots, (q) => q.orderBy("t.snapshotTime"));
  const since = mark?.time ?? first?.snapshotTime;
  if (since !== undefined && time >= since) return;
  const text = since === undefined ? "there is none yet" : `it begins at ${new Date(since).toISOString()}`;
  throw new ProxmoorError("HISTORY_MISSING", `History does not reach back to ${new Date(time).toISOString()}: ${text}`);
}

/** The last snapshot up to a time, as text for SQL. Ids and times grow alike. */
async function lastUpTo(tx: Tx, time: number): Promise<string> {
  const row = await findOne(tx, stateSnapshots, (q) =>
    q.where("t.snapshotTime <= :time", { time }).orderBy("t.snapshotTime", "DESC").addOrderBy("t.id", "DESC"),
  );
  return String(row?.id ?? 0n);
}

function newestEach(tx: Tx, last: string): Promise<SnapshotRecord[]> {
  const newest = `SELECT MAX(n.id) FROM state_snapshots n WHERE n.id <= ${last} GROUP BY n.resource_type, n.resource_id`;
  return findAll(tx, stateSnapshots, (q) => q.where(`t.id IN (${newest}) AND t.changeType <> 'deleted'`));
}

/** A record as it was put into a snapshot: 64-bit figures are text there. */
function recordOf<T>(table: Table<T>, data: Json): T {
  const record: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(data as Readonly<Record<string, Json>>)) {
    record[field] = table.columns[field]?.type === "bigint" && typeof value === "string" ? BigInt(value) : value;
  }
  return record as T;
}
