import type { StepRequest, TaskLog, TaskRecord, TaskStatus } from "../apply/types.js";
import { ProxmoorError } from "../model/errors.js";
import type { TaskEntry, Upid } from "../tasks/types.js";
import type { Units } from "./database.js";
import { containers } from "./entities/cluster.js";
import { tasks } from "./entities/control.js";
import type { TaskRow } from "./entities/control.js";
import type { Stamps } from "./entities/table.js";
import { ensureNodes } from "./nodes.js";
import { chunks, deleteIn, findAll, findOne, insertNumbered, insertOne, serialise, updateWhere } from "./rows.js";
import type { Changes, Tx } from "./rows.js";

type StoredTask = TaskRow & Stamps;
type Planned = Parameters<TaskLog["plan"]>[0][number];
type End = Parameters<TaskLog["finish"]>[1];

/** Who looks for a UPID and then writes it goes one at a time. */
const UPIDS = "proxmoor upids";
/** Rows compared at once in observe(). */
const OBSERVED_AT_ONCE = 1000;

/** The write-ahead log of what is sent to PVE, and what others ran there. */
export class SqlTaskLog implements TaskLog {
  constructor(private readonly database: Units) {}

  plan(rows: readonly Planned[]): Promise<readonly number[]> {
    return this.database.write(async (tx) => {
      await ensureNodes(
        tx,
        rows.map((row) => row.node),
      );
      const ids: number[] = [];
      // One by one: a change has few steps, and no database promises the order of ids within one statement.
      for (const { node, ...row } of rows) {
        const listedAt = row.startTime ?? tx.now;
        ids.push(
          await insertOne(tx, tasks, { ...row, nodeId: node, status: "planned", logEntries: [], own: true, listedAt }),
        );
      }
      return ids;
    });
  }

  begin(id: number, request: StepRequest, at: number): Promise<void> {
    return this.database.write((tx) => change(tx, id, { status: "running", request, startTime: at, listedAt: at }));
  }

  attach(id: number, upid: Upid): Promise<void> {
    return this.database.write(async (tx) => {
      await serialise(tx, UPIDS);
      // The poll of PVE's task list may have seen the task before its UPID got here.
      const seen = await findOne(tx, tasks, (q) => q.where("t.upid = :upid AND t.id <> :id", { upid, id }));
      if (seen?.own === true) {
        throw new ProxmoorError("DB_DUPLICATE", `Task ${seen.id} has this UPID already`, { subject: upid });
      }
      if (seen !== undefined) await deleteIn(tx, tasks, "id", [seen.id]);
      await change(tx, id, { upid, ...(seen?.user === undefined ? {} : { user: seen.user }) });
    });
  }

  finish(id: number, end: End): Promise<void> {
    return this.database.write((tx) =>
      change(tx, id, {
        status: end.status,
        endTime: end.at,
        ...(end.exitStatus === undefined ? {} : { exitStatus: end.exitStatus }),
        ...(end.log === undefined ? {} : { logEntries: end.log }),
      }),
    );
  }

  unfinished(): Promise<readonly TaskRecord[]> {
    return this.database.read(async (tx) => {
      const rows = await findAll(tx, tasks, (q) =>
        q
          .where("t.own = :own AND t.status IN (:...open)", { own: true, open: ["planned", "running", "unknown"] })
          .orderBy("t.id"),
      );
      return rows.map(toTaskRecord);
    });
  }

  list(
    filter: { ref?: string; run?: string; status?: TaskStatus; limit?: number } = {},
  ): Promise<readonly TaskRecord[]> {
    return this.database.read(async (tx) => {
      const rows = await findAll(tx, tasks, (q) => {
        if (filter.ref !== undefined) q.andWhere("t.ref = :ref", { ref: filter.ref });
        if (filter.run !== undefined) q.andWhere("t.run = :run", { run: filter.run });
        if (filter.status !== undefined) q.andWhere("t.status = :status", { status: filter.status });
        if (filter.limit !== undefined) q.limit(filter.limit);
        return q.orderBy("t.listedAt", "DESC").addOrderBy("t.id", "DESC");
      });
      return rows.map(toTaskRecord);
    });
  }

  observe(entries: readonly TaskEntry[]): Promise<void> {
    return this.database.write(async (tx) => {
      await serialise(tx, UPIDS);
      await ensureNodes(
        tx,
        entries.map((entry) => entry.node),
      );
      for (const chunk of chunks(dedupe(entries), OBSERVED_AT_ONCE)) await observeChunk(tx, chunk);
    });
  }
}

/** By UPID, the later one wins; oldest first, so that ids grow with time. */
function dedupe(entries: readonly TaskEntry[]): TaskEntry[] {
  return [...new Map(entries.map((entry) => [entry.upid, entry])).values()].sort((a, b) => a.startTime - b.startTime);
}

async function observeChunk(tx: Tx, entries: readonly TaskEntry[]): Promise<void> {
  const upids = entries.map((entry) => entry.upid);
  const stored = await findAll(tx, tasks, (q) => q.where("t.upid IN (:...upids)", { upids }));
  const byUpid = new Map(stored.map((row) => [row.upid, row]));
  const kinds = await containerIds(tx, entries);
  const fresh: Omit<TaskRow, "id">[] = [];
  for (const entry of entries) {
    const before = byUpid.get(entry.upid);
    if (before === undefined) fresh.push(fromEntry(entry, kinds));
    else await updateObserved(tx, before, entry);
  }
  await insertNumbered(tx, tasks, fresh);
}

/** The end of a task of ours is written by who follows it, with its log; here it only learns its user. */
async function updateObserved(tx: Tx, before: StoredTask, entry: TaskEntry): Promise<void> {
  if (before.own) {
    if (before.user === undefined) await change(tx, before.id, { user: entry.user });
    return;
  }
  const status = statusOf(entry);
  if (before.status === status && before.endTime === entry.endTime && before.exitStatus === entry.exit) return;
  // An entry read before the task ended may arrive after one read later.
  if (before.status !== "running" && status === "running") return;
  await change(tx, before.id, { status, user: entry.user, endTime: entry.endTime, exitStatus: entry.exit });
}

function fromEntry(entry: TaskEntry, containerIds: ReadonlySet<string>): Omit<TaskRow, "id"> {
  return {
    upid: entry.upid,
    nodeId: entry.node,
    type: entry.type,
    status: statusOf(entry),
    ...resourceOf(entry, containerIds),
    user: entry.user,
    startTime: entry.startTime,
    ...(entry.endTime === undefined ? {} : { endTime: entry.endTime }),
    ...(entry.exit === undefined ? {} : { exitStatus: entry.exit }),
    logEntries: [],
    own: false,
    listedAt: entry.startTime,
  };
}

/** Ends of PVE's tasks: `OK`, `WARNINGS: n`, else an error text (BEHAVIOUR.md, "Tasks"). */
function statusOf(entry: TaskEntry): TaskStatus {
  if (entry.exit === undefined) return "running";
  return entry.exit === "OK" || entry.exit.startsWith("WARNINGS") ? "OK" : "ERROR";
}

function resourceOf(entry: TaskEntry, containerIds: ReadonlySet<string>): Pick<TaskRow, "resourceType" | "resourceId"> {
  if (/^[0-9]+$/.test(entry.id)) {
    // vzdump and the tasks of HA name guests of both kinds.
    const both = /^(vzdump|ha|vnc|spice)/.test(entry.type);
    const container = both ? containerIds.has(entry.id) : entry.type.startsWith("vz");
    return { resourceType: container ? "container" : "vm", resourceId: entry.id };
  }
  const storage = /^(img|download|prune|zfs|lvm|dir)/.test(entry.type) && entry.id !== "";
  return storage ? { resourceType: "storage", resourceId: entry.id } : { resourceType: "node", resourceId: entry.node };
}

async function containerIds(tx: Tx, entries: readonly TaskEntry[]): Promise<ReadonlySet<string>> {
  const ids = entries.map((entry) => Number(entry.id)).filter((id) => Number.isSafeInteger(id) && id > 0);
  if (ids.length === 0) return new Set();
  const rows = await findAll(tx, containers, (q) => q.where("t.id IN (:...ids)", { ids }));
  return new Set(rows.map((row) => String(row.id)));
}

async function change(tx: Tx, id: number, changes: Changes<StoredTask>): Promise<void> {
  const changed = await updateWhere(tx, tasks, changes, { id });
  if (changed === 0) throw new ProxmoorError("DB_NOT_FOUND", `There is no task ${id}`, { subject: `task ${id}` });
}

export function toTaskRecord(row: StoredTask): TaskRecord {
  const { nodeId, logEntries, own: _own, listedAt: _at, createdAt: _created, updatedAt: _updated, ...rest } = row;
  return { ...rest, node: nodeId, log: logEntries };
}
