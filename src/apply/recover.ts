import { messageOf } from "../model/errors.js";
import { parseRef } from "../model/ref.js";
import type { Upid } from "../tasks/types.js";
import { withLease } from "./lease.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";
import { followToEnd, ownUpids } from "./step.js";
import type { TaskRecord } from "./types.js";

/**
 * What a run that died left in the tasks table, before anything new is planned: steps that were never sent are
 * closed; running ones are found in PVE (by UPID, else by node, type, vmid and time) and followed to their end. Rows of
 * a run that is still alive (it holds the object's lease) are left alone. Nothing is ever sent here.
 */
export async function recoverTasks(ports: ApplyPorts, options: ApplyOptions): Promise<number> {
  const rows = await ports.taskLog.unfinished();
  const byRef = new Map<string, TaskRecord[]>();
  for (const row of rows)
    byRef.set(row.ref ?? `task/${row.id}`, [...(byRef.get(row.ref ?? `task/${row.id}`) ?? []), row]);
  await Promise.all([...byRef].map(([key, own]) => recoverOne(key, own, { ports, options })));
  return rows.length;
}

async function recoverOne(
  key: string,
  rows: readonly TaskRecord[],
  context: { ports: ApplyPorts; options: ApplyOptions },
): Promise<void> {
  const { ports, options } = context;
  try {
    await withLease(
      key,
      { leases: ports.leases, clock: ports.clock, holder: options.holder, isGone: ports.isGone },
      async () => {
        // the other run may have ended them between the list and the lease
        const still = new Set((await ports.taskLog.unfinished()).map((row) => row.id));
        for (const row of rows) if (still.has(row.id)) await recoverRow(key, row, context);
      },
    );
  } catch (error) {
    options.signal?.throwIfAborted();
    ports.onEvent({ type: "recovered", key, status: "running", text: messageOf(error) });
  }
}

async function recoverRow(
  key: string,
  row: TaskRecord,
  { ports, options }: { ports: ApplyPorts; options: ApplyOptions },
): Promise<void> {
  const end = async (status: "OK" | "ERROR" | "stopped", exitStatus: string) => {
    await ports.taskLog.finish(row.id, { status, exitStatus, at: ports.clock.now() });
    ports.onEvent({
      type: "recovered",
      key,
      status,
      text: `${row.type}: ${exitStatus}`,
      ...(row.upid !== undefined && { upid: row.upid }),
    });
  };
  if (row.status === "planned") return end("stopped", "the run ended before it was sent");
  const upid = row.upid ?? (await trace(row, ports, options));
  if (upid === undefined)
    return end("ERROR", "the run ended before an answer came, and PVE has no trace of it; the guest is looked at anew");
  if (row.upid === undefined) await ports.taskLog.attach(row.id, upid);
  const ref = parseRef(row.ref ?? "") ?? { kind: "VirtualMachine" as const, name: row.resourceId };
  try {
    await followToEnd({ id: row.id, upid, op: "configure" }, { ports, options, ref });
    ports.onEvent({ type: "recovered", key, upid, status: "OK", text: `${row.type} went on in PVE and ended well` });
  } catch (error) {
    options.signal?.throwIfAborted();
    await end("ERROR", messageOf(error));
  }
}

async function trace(row: TaskRecord, ports: ApplyPorts, options: ApplyOptions): Promise<Upid | undefined> {
  if (row.type === "configure" || row.startTime === undefined) return undefined;
  const known = await ownUpids(ports.taskLog);
  const hint = {
    node: row.node,
    type: row.type,
    vmid: Number(row.resourceId),
    since: row.startTime,
    ...(row.request && { request: row.request }),
  };
  return ports.sender.trace(hint, known, options.signal);
}
