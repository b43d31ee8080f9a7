import { ProxmoorError, messageOf } from "../model/errors.js";
import { refKey } from "../model/ref.js";
import type { Change, Resource, Step } from "../plan/types.js";
import type { Outcome } from "./events.js";
import { withLease } from "./lease.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";
import { runStep } from "./step.js";
import { taskTypeOf } from "./task-type.js";
import type { Throttle } from "./throttle.js";

export interface ChangeContext {
  readonly ports: ApplyPorts;
  readonly options: ApplyOptions;
  readonly throttle: Throttle;
}

/**
 * One object's change from its lease to its inventory entry. Never throws: errors and interruptions are outcomes.
 */
export async function applyChange(planned: Change, context: ChangeContext): Promise<Outcome> {
  const { ports, options } = context;
  const key = refKey(planned.ref);
  const started = ports.clock.now();
  const { action } = planned;
  ports.onEvent({
    type: "change-started",
    key,
    action,
    ...(planned.vmid !== undefined && { vmid: planned.vmid }),
    ...(planned.node !== undefined && { node: planned.node }),
  });
  try {
    const done = await withLease(
      key,
      { leases: ports.leases, clock: ports.clock, holder: options.holder, isGone: ports.isGone },
      async () => {
        const change = await confirm(planned, context);
        // somebody else, or an earlier run, made it so in the meantime
        if (change === undefined) return { action: "keep" as const, pending: [] };
        return { action, pending: await carryOut(change, context) };
      },
    );
    ports.onEvent({ type: "change-done", key, ms: ports.clock.now() - started, ...done });
    return { result: "done", ...done };
  } catch (error) {
    if (options.signal?.aborted === true) return { result: "interrupted", action };
    const known =
      error instanceof ProxmoorError ? error : new ProxmoorError("INTERNAL", messageOf(error), { cause: error });
    const told = { code: known.code, text: known.message, ...(known.remedy !== undefined && { remedy: known.remedy }) };
    ports.onEvent({ type: "change-failed", key, action, ...told });
    return { result: "failed", action, retry: known.retry, ...told };
  }
}

/** The change as it is to be carried out: planned again where the guest changed since, and then only if it is the same. */
async function confirm(planned: Change, { ports }: ChangeContext): Promise<Change | undefined> {
  const fresh = await ports.replan(planned);
  if (fresh === undefined || fresh.action === "keep") return planned.action === "delete" ? planned : undefined;
  if (fresh.action === "blocked")
    throw new ProxmoorError("PLAN_BLOCKED", fresh.reason ?? "it can't be changed as things are", {
      subject: refKey(planned.ref),
      remedy: fresh.remedy,
    });
  if (essence(fresh) !== essence(planned))
    throw new ProxmoorError("APPLY_STALE", "the guest changed since the plan was made, and the plan with it", {
      subject: refKey(planned.ref),
      retry: "later",
      remedy: "Nothing was changed. Look at the new plan and apply again.",
    });
  return fresh;
}

/** What was approved: the fields with their values and effects, the steps and the disruptions. */
function essence(change: Change): string {
  return JSON.stringify([change.action, change.fields, change.steps.map((step) => step.op), change.disruptions]);
}

async function carryOut(change: Change, context: ChangeContext): Promise<readonly string[]> {
  const { ports, options, throttle } = context;
  const before = await ports.resources.find(change.ref);
  const draft = resourceFor(change, before, options);
  if (draft) await ports.resources.save(draft);
  const ids = await ports.taskLog.plan(
    change.steps.map((step, index) => rowFor(change, { step, index, generation: draft?.generation }, options)),
  );
  try {
    for (const [index, step] of change.steps.entries()) {
      const id = ids[index];
      if (id === undefined) throw new ProxmoorError("INTERNAL", "a step has no row in the tasks table");
      options.signal?.throwIfAborted();
      if (draft && step.target.identity !== before?.identity && (step.op === "create" || step.op === "clone"))
        await ports.resources.save({ ...draft, identity: step.target.identity, phase: "creating" });
      await throttle.run(step, async () => {
        options.signal?.throwIfAborted();
        const key = refKey(change.ref);
        const started = ports.clock.now();
        ports.onEvent({ type: "step-started", key, op: step.op, step: index + 1, steps: change.steps.length });
        await runStep({ id, step }, { ports, options, ref: change.ref });
        ports.onEvent({ type: "step-done", key, op: step.op, ms: ports.clock.now() - started });
      });
    }
  } catch (error) {
    await abandon(ids, ports);
    throw error;
  }
  return settle(change, draft, context);
}

/** Steps that will not be sent any more. Rows that are under way keep their state. */
async function abandon(ids: readonly number[], ports: ApplyPorts): Promise<void> {
  const open = new Set(
    (await ports.taskLog.unfinished()).filter((row) => row.status === "planned").map((row) => row.id),
  );
  for (const id of ids)
    if (open.has(id))
      await ports.taskLog.finish(id, { status: "stopped", exitStatus: "not sent", at: ports.clock.now() });
}

function rowFor(
  change: Change,
  at: { step: Step; index: number; generation: number | undefined },
  options: ApplyOptions,
) {
  const { step } = at;
  return {
    node: step.op === "clone" ? step.source.node : step.target.node,
    type: taskTypeOf(step),
    resourceType: step.target.kind === "VirtualMachine" ? ("vm" as const) : ("container" as const),
    resourceId: String(step.target.vmid),
    ref: refKey(change.ref),
    run: options.run,
    step: at.index,
    ...(at.generation !== undefined && { generation: at.generation }),
    ...(options.user !== undefined && { user: options.user }),
  };
}

/** The inventory entry as it is written before the first request; undefined where nothing of ours is left to note. */
function resourceFor(change: Change, before: Resource | undefined, options: ApplyOptions): Resource | undefined {
  if (change.action === "delete") return before && { ...before, phase: "deleting" };
  const { desired } = change;
  if (!desired || change.vmid === undefined || change.node === undefined || change.identity === undefined)
    return undefined;
  const makes = change.action === "create";
  return {
    ref: change.ref,
    vmid: change.vmid,
    node: change.node,
    // of a replacement the old guest keeps its identity until it is gone
    identity: change.action === "replace" && before ? before.identity : change.identity,
    phase: makes ? "creating" : (before?.phase ?? "ready"),
    // a run that is cut off has perhaps applied some of the new fields: until it is whole, both count as ours
    lastApplied: { ...before?.lastApplied, ...(makes ? {} : desired.fields) },
    labels: desired.labels,
    source: options.sourceOf(desired.place),
    prune: desired.lifecycle.prune,
    generation: (before?.generation ?? 0) + 1,
    observedGeneration: before?.observedGeneration ?? 0,
    conditions: before?.conditions ?? [],
  };
}

/** After the last step: what waits for a restart, and the inventory's final entry. */
async function settle(
  change: Change,
  draft: Resource | undefined,
  { ports, options }: ChangeContext,
): Promise<readonly string[]> {
  if (change.action === "delete") {
    await ports.resources.remove(change.ref, ports.clock.now() + options.quarantine);
    return [];
  }
  if (!draft || !change.desired) return [];
  const sight = await ports.sender.look({ kind: change.ref.kind, vmid: draft.vmid, node: draft.node });
  await ports.resources.save({
    ...draft,
    identity: change.identity ?? draft.identity,
    phase: "ready",
    lastApplied: change.desired.fields,
    observedGeneration: draft.generation,
  });
  return sight.at === "present" ? sight.guest.pendingFields : [];
}
