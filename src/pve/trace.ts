import type { TraceHint } from "../apply/types.js";
import type { TaskReader, Upid } from "../tasks/types.js";

/** Our clock and the node's may differ by so much. */
const SKEW_MS = 3_600_000;

/**
 * The task a write started whose answer was lost: of the same node and type, about the same guest, the newest that
 * started after the request went out (an hour of skew allowed for) and that nothing else is known to have started.
 * A clone's task carries the source's vmid; its log names the new one (BEHAVIOUR 4: `creating a clone of VM 100 with ID 101`).
 */
export async function traceTask(
  tasks: TaskReader,
  hint: TraceHint,
  known: ReadonlySet<Upid>,
  signal?: AbortSignal,
): Promise<Upid | undefined> {
  const isClone = /clone$/.test(hint.type);
  const since = hint.since - SKEW_MS;
  const source = /\/(\d+)\/clone$/.exec(hint.request?.path ?? "")?.[1];
  const vmid = isClone ? Number(source) : hint.vmid;
  if (Number.isNaN(vmid)) return undefined;
  // an HA-managed guest is started and stopped by another type of task (BEHAVIOUR 4)
  const types = [
    hint.type,
    hint.type.replace(/^(qm|vz)(start|stop|shutdown)$/, (_, __, op: string) => (op === "start" ? "hastart" : "hastop")),
  ];
  const entries = await tasks.list(hint.node, { vmid, since }, signal);
  for (const entry of entries) {
    if (!types.includes(entry.type) || entry.id !== String(vmid) || entry.startTime < since || known.has(entry.upid))
      continue;
    if (!isClone || (await clones(tasks, entry.upid, hint.vmid, signal))) return entry.upid;
  }
  return undefined;
}

async function clones(tasks: TaskReader, upid: Upid, newid: number, signal: AbortSignal | undefined): Promise<boolean> {
  const log = await tasks.log(upid, 0, signal);
  return log.some((line) => new RegExp(`with ID ${newid}$`).test(line.text));
}
