import { randomUUID } from "node:crypto";
import type { Outcome } from "../apply/events.js";
import { appliedFields } from "../apply/applied.js";
import { findings, restartFindings, withFindings, type Findings } from "../apply/conditions.js";
import { describeDifference } from "../apply/done-event.js";
import { withLease } from "../apply/lease.js";
import { recoverObject } from "../apply/recover.js";
import { lookAgain, replanner } from "../apply/replan.js";
import { runPlan } from "../apply/run.js";
import type { DesiredGuest } from "../desired/types.js";
import { assertNever } from "../model/assert-never.js";
import { ProxmoorError } from "../model/errors.js";
import { refKey, type Ref } from "../model/ref.js";
import type { ObservedState } from "../observed/types.js";
import { planChanges, planDelete, summarise } from "../plan/plan.js";
import type { Change, Resource } from "../plan/types.js";
import type { ControllerOptions, ControllerPorts } from "./ports.js";

/** How a reconcile came out, and so when the ref is looked at again. */
export type Reconciled =
  | { readonly result: "unchanged" | "changed" }
  /** Waits for something that is not there yet: tried again with backoff. */
  | { readonly result: "waiting" | "failed" | "blocked"; readonly reason: string };

export interface ReconcileContext {
  readonly ports: ControllerPorts;
  readonly options: ControllerOptions;
  readonly desired: ReadonlyMap<string, DesiredGuest>;
  /** The last look at the cluster. */
  readonly observed: ObservedState;
  /** True where the source was read whole and pruning is on. */
  readonly mayPrune: boolean;
  readonly signal: AbortSignal;
}

/** Brings one object where it should be. Level-triggered: looks at what is, not at what happened. */
export async function reconcile(ref: Ref, given: ReconcileContext): Promise<Reconciled> {
  const { ports } = given;
  await recoverLeftovers(ref, given);
  const resource = await ports.resources.find(ref);
  const context = resource ? { ...given, observed: await lookAt(resource, given) } : given;
  const wanted = context.desired.get(refKey(ref));
  if (wanted && resource?.phase !== "ready") {
    const missing = await missingDependency(wanted, context);
    if (missing) return { result: "waiting", reason: `waits for ${refKey(missing)}` };
  }
  const planned = wanted ? await planOne(wanted, context) : planGone(resource, context);
  if (!planned) return { result: "unchanged" };
  return act(planned, resource, context);
}

/** What a run that died left of this object, also where nothing declares it any more. */
async function recoverLeftovers(ref: Ref, { ports, options, signal }: ReconcileContext): Promise<void> {
  const key = refKey(ref);
  const isOpen = (await ports.taskLog.unfinished()).some((row) => row.ref === key);
  if (!isOpen) return;
  const recovering = {
    ...ports,
    replan: () => Promise.resolve(undefined),
    onEvent: (event: object) => ports.log.info({ ...event }, "recovered"),
  };
  await withLease(key, taker(ports, options, signal), () =>
    recoverObject(key, { ports: recovering, options: { ...options.apply, run: "recovery", signal } }),
  );
}

function taker({ leases, clock, isGone }: ControllerPorts, { apply }: ControllerOptions, signal: AbortSignal) {
  return { leases, clock, isGone, holder: apply.holder, signal };
}

/** The last look may be older than the last change: what it would find then was no drift, but our own doing. */
function lookAt({ ref, vmid, node }: Resource, context: ReconcileContext): Promise<ObservedState> {
  return lookAgain(context.observed, [{ kind: ref.kind, vmid, node }], context.ports.sender, context.signal);
}

/** The first declared dependency that is not made yet. */
async function missingDependency(wanted: DesiredGuest, { ports, desired }: ReconcileContext): Promise<Ref | undefined> {
  for (const other of wanted.dependsOn)
    if (desired.has(refKey(other)) && (await ports.resources.find(other))?.phase !== "ready") return other;
  return undefined;
}

async function planOne(wanted: DesiredGuest, context: ReconcileContext): Promise<Change | undefined> {
  const { ports, options, observed } = context;
  const stored = await ports.resources.inventory(ports.clock.now());
  // vmids that other manifests declare are not to be given out, although only one guest is planned here
  const others = [...context.desired.values()].filter((one) => one !== wanted);
  const vmids = others.flatMap((one) => (one.vmid === undefined ? [] : [one.vmid]));
  const inventory = { ...stored, unavailableVmids: new Set([...stored.unavailableVmids, ...vmids]) };
  const policy = { ...options.policy, prunes: undefined };
  const declared = new Set(context.desired.keys());
  return planChanges({ desired: { guests: [wanted] }, declared, observed, inventory, policy }).changes[0];
}

function planGone(
  resource: Resource | undefined,
  { observed, mayPrune, options }: ReconcileContext,
): Change | undefined {
  if (!resource || !mayPrune || options.policy.prunes?.(resource.source) !== true) return undefined;
  return planDelete(resource, observed);
}

async function act(planned: Change, resource: Resource | undefined, context: ReconcileContext): Promise<Reconciled> {
  const { ports } = context;
  const key = refKey(planned.ref);
  if (planned.action === "blocked") {
    const reason = planned.reason ?? "it can't be changed as things are";
    const no = say("False", "Blocked", reason);
    await note(planned.ref, { blocked: say("True", "Blocked", reason), synced: no, ready: no }, context);
    await ports.events.record({
      time: ports.clock.now(),
      type: "Warning",
      reason: "Blocked",
      message: reason,
      ref: key,
    });
    return { result: "blocked", reason };
  }
  const change = withoutUnasked(planned);
  const drift = resource !== undefined && isDrift(change, resource);
  if (drift && change.desired?.lifecycle.drift !== "enforce") return reportDrift(change, context);
  const outcome = await run(change, context);
  if (outcome.result === "done" && outcome.action !== "keep" && drift) await tellCorrection(change, context);
  return conclude(change, outcome, context);
}

/** The controller asks nobody: a restart only happens where the manifest allows it; the change then waits as pending. */
function withoutUnasked(change: Change): Change {
  if (!change.desired || change.desired.lifecycle.restart === "allow") return change;
  const steps = change.steps.filter((step) => step.op !== "reboot");
  if (steps.length === change.steps.length) return change;
  const { power: _power, ...rest } = change;
  const waits = steps.length === 0;
  return {
    ...rest,
    steps,
    disruptions: change.disruptions.filter((one) => one.kind !== "restart"),
    ...(waits && { action: "keep" as const }),
  };
}

/** A difference that nobody declared: the desired state is the one that was applied last. */
function isDrift(change: Change, resource: Resource): boolean {
  if (change.action !== "update" || !change.desired || resource.phase !== "ready") return false;
  const sorted = (fields: Readonly<Record<string, unknown>>) =>
    JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
  return sorted(appliedFields(change.desired)) === sorted(resource.lastApplied);
}

async function run(change: Change, { ports, options, observed, signal }: ReconcileContext): Promise<Outcome> {
  const { policy } = options;
  const again = replanner({
    observed,
    policy,
    sender: ports.sender,
    resources: ports.resources,
    clock: ports.clock,
    signal,
  });
  const result = await runPlan(
    { changes: [change], summary: summarise([change]), warnings: [] },
    {
      ...ports,
      replan: async (one) => {
        const fresh = await again(one);
        return fresh && withoutUnasked(fresh);
      },
      onEvent: (event) => ports.log.debug({ ...event }, "step"),
    },
    { ...options.apply, run: randomUUID(), signal },
  );
  return result.outcomes.get(refKey(change.ref)) ?? { result: "interrupted", action: change.action, sent: false };
}

async function conclude(change: Change, outcome: Outcome, context: ReconcileContext): Promise<Reconciled> {
  const { ports } = context;
  switch (outcome.result) {
    case "done":
      if (outcome.action === "keep") {
        // nothing was written: what waits for a restart is what the last look saw
        await note(change.ref, restartFindings(pendingOf(change, context)), context);
        return { result: "unchanged" };
      }
      ports.log.info(
        { ref: refKey(change.ref), action: change.action, what: describeDifference(change) },
        "reconciled",
      );
      return { result: "changed" };
    case "failed":
      return { result: "failed", reason: outcome.text };
    case "skipped":
      return { result: "waiting", reason: outcome.because };
    case "interrupted":
      return { result: "waiting", reason: "interrupted" };
    default:
      return assertNever(outcome);
  }
}

function pendingOf(change: Change, { observed }: ReconcileContext): readonly string[] {
  const sight = change.vmid === undefined ? undefined : observed.sights.get(change.vmid);
  return sight?.at === "present" ? sight.guest.pendingFields : [];
}

async function tellCorrection(change: Change, { ports }: ReconcileContext): Promise<void> {
  ports.metrics.drift("corrected");
  const what = describeDifference(change);
  ports.log.warn({ ref: refKey(change.ref), what }, "drift corrected");
  await ports.events.record({
    time: ports.clock.now(),
    type: "Warning",
    reason: "DriftCorrected",
    message: what,
    ref: refKey(change.ref),
  });
}

async function reportDrift(change: Change, context: ReconcileContext): Promise<Reconciled> {
  if (change.desired?.lifecycle.drift === "ignore") return { result: "unchanged" };
  const what = describeDifference(change);
  context.ports.metrics.drift("reported");
  await note(
    change.ref,
    {
      drifted: say("True", "Differs", what),
      synced: say("False", "Drifted", what),
      ready: say("False", "Drifted", what),
    },
    context,
  );
  await context.ports.events.record({
    time: context.ports.clock.now(),
    type: "Warning",
    reason: "Drifted",
    message: what,
    ref: refKey(change.ref),
  });
  return { result: "unchanged" };
}

function say(status: "True" | "False" | "Unknown", reason: string, message: string) {
  return { status, reason, message };
}

/** Writes the conditions of a resource where they changed. One that is gone or not made yet has none. */
async function note(ref: Ref, differences: Partial<Findings>, context: ReconcileContext): Promise<void> {
  const { ports, options, signal } = context;
  const noted = async () => {
    const resource = await ports.resources.find(ref);
    const next = resource && withFindings(resource, findings(differences), ports.clock.now());
    return next === resource ? undefined : next;
  };
  if ((await noted()) === undefined) return;
  try {
    // read again under the lease: a run that works on it must not find its entry written over
    await withLease(refKey(ref), taker(ports, options, signal), async () => {
      const next = await noted();
      if (next) await ports.resources.save(next);
    });
  } catch (error) {
    if (!(error instanceof ProxmoorError) || error.code !== "APPLY_BUSY") throw error;
  }
}
