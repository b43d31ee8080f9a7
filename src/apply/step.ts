import { ProxmoorError, messageOf } from "../model/errors.js";
import { refKey, type Ref } from "../model/ref.js";
import type { GuestStatus, ObservedGuest } from "../observed/types.js";
import type { Step } from "../plan/types.js";
import { followTask } from "../tasks/follow.js";
import type { Upid } from "../tasks/types.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";
import { taskTypeOf } from "./task-type.js";
import type { StepRequest, TaskLog } from "./types.js";

export interface StepContext {
  readonly ports: ApplyPorts;
  readonly options: ApplyOptions;
  readonly ref: Ref;
}

/** A step with its row in the tasks table. */
export interface StepRow {
  readonly id: number;
  readonly step: Step;
}

const AFTER: Partial<Record<Step["op"], GuestStatus>> = {
  start: "running",
  reboot: "running",
  stop: "stopped",
  shutdown: "stopped",
};
const AWAIT_STATUS_MS = 60_000;

/**
 * One write from the look before it to its end in the tasks table. Gives false where nothing was left to do (a guest
 * that is in the wanted state already). Throws ProxmoorError; the row is ended, but for an abort: then it stays
 * `running` and the next run picks it up.
 */
export async function runStep(row: StepRow, context: StepContext): Promise<void> {
  const { ports, options } = context;
  const started = ports.clock.now();
  for (let attempt = 0; ; attempt++) {
    const base = await lookBefore(row.step, context);
    if (base === "done") {
      await ports.taskLog.finish(row.id, { status: "OK", exitStatus: "nothing to do", at: ports.clock.now() });
      return;
    }
    try {
      await submit(row, base, context);
      await awaitStatus(row.step, context);
      return;
    } catch (error) {
      const waited = ports.clock.now() - started;
      if (!(error instanceof ProxmoorError) || error.code !== "PVE_LOCKED" || waited > options.lockPatience)
        throw error;
      const ms = Math.round(Math.min(15_000, 1000 * 2 ** attempt) * (0.5 + ports.clock.random() / 2));
      ports.onEvent({ type: "step-waiting", key: refKey(context.ref), op: row.step.op, text: messageOf(error), ms });
      await ports.clock.sleep(ms, options.signal);
    }
  }
}

/** The guest as it is right before the write, its identity checked; `done` where the step has nothing left to do. */
async function lookBefore(
  step: Step,
  { ports, options, ref }: StepContext,
): Promise<ObservedGuest | undefined | "done"> {
  const sight = await ports.sender.look(step.target, options.signal);
  const subject = refKey(ref);
  if (sight.at === "unreadable")
    throw new ProxmoorError("PVE_NODE_OFFLINE", `${sight.node} does not answer: ${sight.reason}`, {
      subject,
      retry: "later",
      remedy: "Run again when the node is back.",
    });
  const makes = step.op === "create" || step.op === "clone";
  if (sight.at === "absent") {
    if (makes) return undefined;
    if (step.op === "destroy") return "done";
    throw new ProxmoorError("PVE_NOT_FOUND", `vmid ${step.target.vmid} is gone from ${step.target.node}`, {
      subject,
      retry: "later",
      remedy: "Run again: the plan will be made anew.",
    });
  }
  const { guest } = sight;
  if (!guest.identities.includes(step.target.identity))
    throw new ProxmoorError(
      "APPLY_IDENTITY",
      `vmid ${guest.vmid} on ${guest.node} belongs to another guest, "${guest.name ?? ""}" with identity ${guest.identities[0] ?? "none"}; ours has ${step.target.identity}`,
      { subject, remedy: "Nothing was changed. Look at that guest in PVE; adopt it or choose another vmid." },
    );
  // ours already: a run that was cut off made it
  if (makes) return "done";
  return AFTER[step.op] === guest.status && step.op !== "reboot" ? "done" : guest;
}

async function submit(row: StepRow, base: ObservedGuest | undefined, context: StepContext): Promise<void> {
  const { ports, ref } = context;
  const key = refKey(ref);
  const request = ports.sender.describe(row.step, base);
  const sentAt = ports.clock.now();
  await ports.taskLog.begin(row.id, request, sentAt);
  let upid: Upid | undefined;
  try {
    // no signal: a write that is on its way is waited for, so that its UPID is stored
    upid = (await ports.sender.send(row.step, base)).upid;
  } catch (error) {
    if (!(error instanceof ProxmoorError) || error.code !== "PVE_NO_ANSWER") {
      await ports.taskLog.finish(row.id, { status: "ERROR", exitStatus: messageOf(error), at: ports.clock.now() });
      throw error;
    }
    await ports.taskLog.finish(row.id, { status: "unknown", exitStatus: messageOf(error), at: ports.clock.now() });
    upid = await findLost({ row, request, sentAt, error }, context);
  }
  if (upid === undefined) {
    await ports.taskLog.finish(row.id, { status: "OK", exitStatus: "OK", at: ports.clock.now() });
    return;
  }
  await ports.taskLog.attach(row.id, upid);
  ports.onEvent({ type: "step-submitted", key, op: row.step.op, upid });
  await followToEnd({ id: row.id, upid, op: row.step.op }, context);
}

/** Follows a task to its end and writes that down. Throws the error behind a bad end. */
export async function followToEnd(
  task: { id: number; upid: Upid; op: Step["op"] },
  context: StepContext,
): Promise<void> {
  const { ports, options, ref } = context;
  const key = refKey(ref);
  const end = await followTask(ports.pveTasks, task.upid, {
    sleep: (ms, signal) => ports.clock.sleep(ms, signal),
    ...(options.signal && { signal: options.signal }),
    onLog: (lines) => {
      const percent = lines.findLast((line) => line.percent !== undefined)?.percent;
      ports.onEvent({
        type: "step-progress",
        key,
        op: task.op,
        text: lines.at(-1)?.text ?? "",
        ...(percent !== undefined && { percent }),
      });
    },
  });
  const at = ports.clock.now();
  if (end.ok) {
    await ports.taskLog.finish(task.id, {
      status: "OK",
      exitStatus: end.exit,
      at,
      ...(end.exit !== "OK" && { log: end.logTail }),
    });
    return;
  }
  await ports.taskLog.finish(task.id, { status: "ERROR", exitStatus: end.exit, log: end.logTail, at });
  ports.onEvent({ type: "step-failed", key, op: task.op, text: end.exit, log: end.logTail });
  throw ports.sender.explain(end.exit, key);
}

interface LostWrite {
  readonly row: StepRow;
  readonly request: StepRequest;
  readonly sentAt: number;
  readonly error: ProxmoorError;
}

/**
 * A request went out and no answer came: look for what became of it, never send it again. Gives the UPID of its task,
 * undefined where a synchronous change is seen to have been made; throws where it can't be known.
 */
async function findLost(lost: LostWrite, context: StepContext): Promise<Upid | undefined> {
  const { ports, options } = context;
  const { row, sentAt } = lost;
  const { target } = row.step;
  const known = await ownUpids(ports.taskLog);
  const node = row.step.op === "clone" ? row.step.source.node : target.node;
  const hint = { node, type: taskTypeOf(row.step), vmid: target.vmid, request: lost.request, since: sentAt };
  for (let tries = 0; tries < 5; tries++) {
    await ports.clock.sleep(1000 * 2 ** tries, options.signal);
    try {
      if (row.step.op !== "configure") {
        const upid = await ports.sender.trace(hint, known, options.signal);
        if (upid !== undefined) return upid;
        continue;
      }
      const sight = await ports.sender.look(target, options.signal);
      if (sight.at === "present" && isConfigured(row.step, sight.guest)) return undefined;
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
    }
  }
  throw new ProxmoorError("PVE_NO_ANSWER", `${messageOf(lost.error)}; looked for it and found no trace`, {
    subject: refKey(context.ref),
    retry: "later",
    remedy: "Run again: what is there then is looked at first, nothing is sent twice blindly.",
    cause: lost.error,
  });
}

/** UPIDs that rows of ours have already: a lost write's task is none of them. Tasks of others are no hindrance. */
export async function ownUpids(taskLog: TaskLog): Promise<ReadonlySet<Upid>> {
  const rows = await taskLog.list({ limit: 2000 });
  return new Set(rows.flatMap((row) => (row.run !== undefined && row.upid !== undefined ? [row.upid] : [])));
}

function isConfigured(step: Extract<Step, { op: "configure" }>, guest: ObservedGuest): boolean {
  return step.changes.every(({ path, to }) => JSON.stringify(guest.fields[path]) === JSON.stringify(to));
}

/** A task may end before the guest is where it should be (reboot, HA): wait for it. */
async function awaitStatus(step: Step, { ports, options, ref }: StepContext): Promise<void> {
  const wanted = AFTER[step.op];
  if (wanted === undefined) return;
  const until = ports.clock.now() + AWAIT_STATUS_MS;
  for (let wait = 200; ; wait = Math.min(3000, wait * 2)) {
    const sight = await ports.sender.look(step.target, options.signal);
    const isThere = sight.at === "present" && sight.guest.status === wanted;
    if (isThere && (step.op !== "reboot" || sight.guest.pendingFields.length === 0)) return;
    if (ports.clock.now() > until)
      throw new ProxmoorError(
        "PVE_TASK_FAILED",
        `${step.op} ended, but after ${AWAIT_STATUS_MS / 1000} s the guest is ${sight.at === "present" ? sight.guest.status : sight.at}, not ${wanted}`,
        { subject: refKey(ref), retry: "later" },
      );
    await ports.clock.sleep(wait, options.signal);
  }
}
