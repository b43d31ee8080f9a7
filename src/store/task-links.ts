import type { SnapshotRecord } from "../history/types.js";
import { tasks } from "./entities/control.js";
import type { TaskRow } from "./entities/control.js";
import { findAll } from "./rows.js";
import type { Tx } from "./rows.js";

type Snapshot = Omit<SnapshotRecord, "id">;

/** /cluster/resources lags up to 10 s (FACTS.md), and PVE's clock may differ from ours: ms before the last look. */
const MARGIN_MS = 30_000;

/**
 * Adds to each snapshot the newest task on its object that ran since the last look, and that task's user. Changes
 * that PVE makes without a task (a PUT of a config by somebody else) stay without one.
 */
export async function linkTasks(
  tx: Tx,
  snapshots: readonly Snapshot[],
  lastSync: number | undefined,
): Promise<readonly Snapshot[]> {
  if (lastSync === undefined || snapshots.length === 0) return snapshots;
  const since = lastSync - MARGIN_MS;
  const rows = await findAll(tx, tasks, (q) =>
    q.where("t.endTime >= :since OR t.status = 'running'", { since }).orderBy("t.listedAt"),
  );
  const newest = new Map<string, TaskRow>(rows.map((row) => [key(row), row]));
  return snapshots.map((snapshot) => {
    const task = newest.get(key(snapshot));
    if (task === undefined) return snapshot;
    return { ...snapshot, taskId: task.id, ...(task.user === undefined ? {} : { user: task.user }) };
  });
}

function key(of: { readonly resourceType: string; readonly resourceId: string }): string {
  return `${of.resourceType} ${of.resourceId}`;
}
