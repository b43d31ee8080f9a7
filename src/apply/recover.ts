import { messageOf } from "../model/errors.js";
import type { Upid } from "../tasks/types.js";
import { followToEnd } from "./follow.js";
import { withLease } from "./lease.js";
import { ownUpids } from "./lost.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";
import { opOf } from "./task-type.js";
import type { TaskRecord } from "./types.js";

interface RecoverContext {
  readonly ports: ApplyPorts;
  readonly options: ApplyOptions;
}

/**
 * What a run that died left in the tasks table, before anything new is planned: steps that were never sent are
 * closed; running ones are found in PVE (by UPID, else by node, type, vmid and time) and followed to their end. Rows of
 * a run that is still alive (it renews the object's lease) are left alone. Nothing is ever sent here.
 */
export async function recoverTasks(ports: ApplyPorts, options: ApplyOptions): Promise<number> {
  const rows = await ports.taskLog.unfinished();
  const keys = new Set(rows.map(keyOf));
  await Promise.all([...keys].map((key) => recoverOne(key, { ports, options })));
  return rows.length;
}

async function recoverOne(key: string, context: RecoverContext): Promise<void> {
  const { ports, options } = context;
  const { leases, clock, isGone } = ports;
  try {
    await withLease(key, { leases, clock, isGone, holder: options.holder, signal: options.signal }, () =>
      recoverObject(key, context),
    );
  } catch (error) {
    options.signal?.throwIfAborted();
    ports.onEvent({ type: "recovered", key, status: "running", text: messageOf(error) });
  }
}

/** The unfinished rows of one object, whose lease the caller holds. Throws where PVE can't be asked. */
export async function recoverObject(key: string, context: RecoverContext): Promise<void> {
  for (const row of await context.ports.taskLog.unfinished())
    if (keyOf(row) === key) await recoverRow(key, row, context);
}

function keyOf(row: TaskRecord): string {
  return row.ref ?? `task/${row.id}`;
}

async function recoverRow(key: string, row: TaskRecord, context: RecoverContext): Promise<void> {
  const { ports, options } = context;
  if (row.status === "planned")
    return close(key, row, { status: "stopped", exitStatus: "the run ended before it was sent" }, ports);
  const upid = row.upid ?? (await trace(row, context));
  if (upid === undefined)
    return close(
      key,
      row,
      {
        status: "ERROR",
        exitStatus: "the run ended before an answer came, and PVE has no trace of it; the guest is looked at anew",
      },
      ports,
    );
  if (row.upid === undefined) await ports.taskLog.attach(row.id, upid);
  const end = await followToEnd({ id: row.id, upid, op: opOf(row.type) ?? "configure", key }, { ports, options });
  const text = end.ok ? `${row.type} went on in PVE and ended well` : `${row.type}: ${end.exit}`;
  ports.onEvent({ type: "recovered", key, upid, status: end.ok ? "OK" : "ERROR", text });
}

async function close(
  key: string,
  row: TaskRecord,
  end: { status: "ERROR" | "stopped"; exitStatus: string },
  ports: ApplyPorts,
): Promise<void> {
  await ports.taskLog.finish(row.id, { ...end, at: ports.clock.now() });
  ports.onEvent({ type: "recovered", key, status: end.status, text: `${row.type}: ${end.exitStatus}` });
}

async function trace(row: TaskRecord, { ports, options }: RecoverContext): Promise<Upid | undefined> {
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
