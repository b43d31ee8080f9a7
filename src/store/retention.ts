import type { History, Retention } from "../history/types.js";
import { marks } from "./entities/control.js";
import { findOne, insertMany, serialise } from "./rows.js";
import type { Tx } from "./rows.js";
import { queryRows } from "./sql.js";

/**
 * Deletes snapshots that are older than the window and not among an object's newest ones. Of each object the last
 * snapshot up to the window's begin stays, since it says what the object was then; of one that was deleted before the
 * window nothing does. Tasks that ended, events and manifest revisions go by the same rule. The mark says since when a
 * state of the past is exact.
 */
export async function thinHistory(tx: Tx, keep: Retention): ReturnType<History["thin"]> {
  await serialise(tx, "proxmoor sync");
  const revisions = Math.max(1, keep.revisions);
  const { since } = keep;
  const begins = since ?? (await beginning(tx, revisions));
  const snapshots = await remove(tx, "state_snapshots", doomedSnapshots(since, revisions));
  if (snapshots > 0) await moveMark(tx, begins);
  const superseded = `SELECT id FROM (SELECT id, recorded_at, ${placeBy("source")} FROM manifest_revisions) r WHERE r.place > ${revisions} AND ${older("r.recorded_at", since)}`;
  const manifests = await remove(tx, "manifest_revisions", superseded);
  if (since === undefined) return { snapshots, tasks: 0, others: manifests };
  const mentioned = "SELECT task_id FROM state_snapshots WHERE task_id IS NOT NULL";
  const ended = `SELECT id FROM tasks WHERE end_time < ${since} AND status IN ('OK', 'ERROR', 'stopped') AND id NOT IN (${mentioned})`;
  const events = await remove(tx, "events", `SELECT id FROM events WHERE time < ${since}`);
  return { snapshots, tasks: await remove(tx, "tasks", ended), others: manifests + events };
}

const OBJECT = "resource_type, resource_id";

function placeBy(columns: string): string {
  return `ROW_NUMBER() OVER (PARTITION BY ${columns} ORDER BY id DESC) AS place`;
}

function older(column: string, since: number | undefined): string {
  return since === undefined ? "1 = 1" : `${column} < ${since}`;
}

function doomedSnapshots(since: number | undefined, revisions: number): string {
  const columns = [
    "id",
    "snapshot_time",
    placeBy(OBJECT),
    `FIRST_VALUE(change_type) OVER (PARTITION BY ${OBJECT} ORDER BY id DESC) AS fate`,
    `MAX(snapshot_time) OVER (PARTITION BY ${OBJECT}) AS newest`,
    `MAX(CASE WHEN ${since === undefined ? "1 = 1" : `snapshot_time <= ${since}`} THEN id END) OVER (PARTITION BY ${OBJECT}) AS baseline`,
  ];
  const ranked = `(SELECT ${columns.join(", ")} FROM state_snapshots) s`;
  const surplus = `s.place > ${revisions} AND s.id <> s.baseline AND ${older("s.snapshot_time", since)}`;
  const dead = since === undefined ? "" : ` OR (s.fate = 'deleted' AND s.newest < ${since})`;
  return `SELECT s.id FROM ${ranked} WHERE (${surplus})${dead}`;
}

async function moveMark(tx: Tx, time: number): Promise<void> {
  const before = await findOne(tx, marks, (q) => q.where("t.name = 'history since'"));
  const mark = { name: "history since", time: Math.max(time, before?.time ?? 0) } as const;
  await insertMany(tx, marks, [mark], { onConflict: "update" });
}

/** When only revisions count: the time of the latest snapshot whose forerunner is deleted. */
async function beginning(tx: Tx, revisions: number): Promise<number> {
  const sql = `SELECT MAX(snapshot_time) AS time FROM (SELECT snapshot_time, ${placeBy(OBJECT)}, COUNT(*) OVER (PARTITION BY ${OBJECT}) AS count FROM state_snapshots) s WHERE s.place = ${revisions} AND s.count > ${revisions}`;
  const [row] = await queryRows<{ time: string | number | null }>(tx.runner, sql);
  return Number(row?.time ?? 0);
}

async function remove(tx: Tx, table: string, ids: string): Promise<number> {
  const result = await tx.runner.query(`DELETE FROM "${table}" WHERE id IN (${ids})`, [], true);
  return result.affected ?? 0;
}
