import { ProxmoorError, messageOf } from "../model/errors.js";
import { refKey } from "../model/ref.js";
import type { Change, Step } from "../plan/types.js";
import { failureFindings, withFindings } from "./conditions.js";
import { confirm } from "./confirm.js";
import { doneEvent } from "./done-event.js";
import type { Outcome } from "./events.js";
import { withLease, type Lease } from "./lease.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";
import { recoverObject } from "./recover.js";
import { reserve, settle, type Reserved } from "./reserve.js";
import { runStep } from "./step.js";
import type { StepContext } from "./step-context.js";
import { taskTypeOf } from "./task-type.js";
import type { Throttle } from "./throttle.js";
import type { TaskRecord } from "./types.js";

export interface ChangeContext {
  readonly ports: ApplyPorts;
  readonly options: ApplyOptions;
  readonly throttle: Throttle;
}

/** Whether anything was sent yet, for whoever interrupts. */
interface Progress {
  sent: boolean;
}

/**
 * One object's change from its lease to its inventory entry. Never throws: errors and interruptions are outcomes.
 */
export async function applyChange(planned: Change, context: ChangeContext): Promise<Outcome> {
  const { ports, options } = context;
  const { leases, clock, isGone } = ports;
  const key = refKey(planned.ref);
  const started = clock.now();
  const { action } = planned;
  const progress = { sent: false };
  ports.onEvent({
    type: "change-started",
    key,
    action,
    ...(planned.vmid !== undefined && { vmid: planned.vmid }),
    ...(planned.node !== undefined && { node: planned.node }),
  });
  try {
    const taker = { leases, clock, isGone, holder: options.holder, signal: options.signal };
    const done = await withLease(key, taker, (lease) => carryOut(planned, lease, { ...context, progress }));
    ports.onEvent({ type: "change-done", key, ms: clock.now() - started, ...done });
    return { result: "done", ...done };
  } catch (error) {
    if (options.signal?.aborted === true) return { result: "interrupted", action, sent: progress.sent };
    const known =
      error instanceof ProxmoorError ? error : new ProxmoorError("INTERNAL", messageOf(error), { cause: error });
    const told = { code: known.code, text: known.message, ...(known.remedy !== undefined && { remedy: known.remedy }) };
    ports.onEvent({ type: "change-failed", key, action, ...told });
    return { result: "failed", action, retry: known.retry, ...told };
  }
}

async function carryOut(
  planned: Change,
  lease: Lease,
  context: ChangeContext & { progress: Progress },
): Promise<Pick<Extract<Outcome, { result: "done" }>, "action" | "pending">> {
  const { ports, options, throttle } = context;
  // what an earlier run left of this object: its writes are looked for before any new one
  await recoverObject(refKey(planned.ref), { ports, options });
  const reserved = await throttle.prepare(() => reserve(() => confirm(planned, ports), { ports, options }));
  // somebody else, or an earlier run, made it so in the meantime
  if (reserved === undefined) return { action: "keep", pending: [] };
  try {
    await runSteps(reserved, lease, context);
    const pending = await settle(reserved, { ports, options });
    await ports.events.record({ ...doneEvent(reserved.change), time: ports.clock.now() });
    return { action: planned.action, pending };
  } catch (error) {
    await abandon(refKey(planned.ref), context);
    if (options.signal?.aborted !== true) await tellFailure(planned, messageOf(error), context);
    throw error;
  }
}

async function runSteps(
  reserved: Reserved,
  lease: Lease,
  { ports, options, throttle, progress }: ChangeContext & { progress: Progress },
): Promise<void> {
  const { change, draft } = reserved;
  const key = refKey(change.ref);
  const steps = change.steps.length;
  const rows = change.steps.map((step, index) => rowFor(reserved, { step, index }, options));
  const ids = await ports.taskLog.plan(rows);
  const origin = change.action === "create" ? "made" : change.action === "adopt" ? "adopted" : "ours";
  const context: StepContext = { ports, options, ref: change.ref, lease, origin };
  for (const [index, step] of change.steps.entries()) {
    const [id, row] = [ids[index], rows[index]];
    if (id === undefined || row === undefined)
      throw new ProxmoorError("INTERNAL", "a step has no row in the tasks table");
    options.signal?.throwIfAborted();
    const again = async () => (await ports.taskLog.plan([row]))[0] ?? id;
    await throttle.run(step, async () => {
      options.signal?.throwIfAborted();
      const started = ports.clock.now();
      // of a replacement: the old guest is gone, the new one's identity must be known before it is made
      const isNew = draft && draft.identity !== step.target.identity && step.op === "create";
      if (isNew) await ports.resources.save({ ...draft, identity: step.target.identity, phase: "creating" });
      progress.sent = true;
      ports.onEvent({ type: "step-started", key, op: step.op, step: index + 1, steps });
      const warnings = await runStep({ id, step }, again, context);
      const ms = ports.clock.now() - started;
      ports.onEvent({ type: "step-done", key, op: step.op, ms, ...(warnings !== undefined && { warnings }) });
    });
  }
}

/** Conditions and an event for whoever asks later. Where even that fails, the error itself is what matters. */
async function tellFailure({ ref }: Change, text: string, { ports }: ChangeContext): Promise<void> {
  try {
    const now = ports.clock.now();
    await ports.events.record({ time: now, type: "Warning", reason: "Failed", message: text, ref: refKey(ref) });
    const resource = await ports.resources.find(ref);
    if (resource) await ports.resources.save(withFindings(resource, failureFindings(text), now));
  } catch {
    return;
  }
}

/**
 * Closes the rows of steps that will not be sent any more; those that are under way keep their state. Where even that
 * fails the next run closes them: the error that stopped the change is the one to be told.
 */
async function abandon(key: string, { ports, options }: ChangeContext): Promise<void> {
  try {
    for (const row of await ports.taskLog.unfinished())
      if (row.status === "planned" && row.run === options.run && row.ref === key)
        await ports.taskLog.finish(row.id, { status: "stopped", exitStatus: "not sent", at: ports.clock.now() });
  } catch {
    return;
  }
}

function rowFor(
  { change, draft }: Reserved,
  { step, index }: { step: Step; index: number },
  options: ApplyOptions,
): Omit<TaskRecord, "id" | "status" | "log"> {
  return {
    node: step.op === "clone" ? step.source.node : step.target.node,
    type: taskTypeOf(step),
    resourceType: step.target.kind === "VirtualMachine" ? "vm" : "container",
    resourceId: String(step.target.vmid),
    ref: refKey(change.ref),
    run: options.run,
    step: index,
    ...(draft?.generation !== undefined && { generation: draft.generation }),
    ...(options.user !== undefined && { user: options.user }),
  };
}
