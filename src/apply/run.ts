import { ProxmoorError } from "../model/errors.js";
import { refKey } from "../model/ref.js";
import { appliedFields } from "./applied.js";
import type { Change, Plan, Resource } from "../plan/types.js";
import { applyChange } from "./change.js";
import type { Outcome, RunResult } from "./events.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";
import { withLease } from "./lease.js";
import { Throttle } from "./throttle.js";

/**
 * Carries out a plan: independent changes at the same time, dependent ones in order. A failed change stops what
 * depends on it and nothing else. Ends early, without waiting for PVE's tasks, when the signal aborts.
 */
export async function runPlan(plan: Plan, ports: ApplyPorts, options: ApplyOptions): Promise<RunResult> {
  const throttle = new Throttle(options);
  const running = new Map<string, Promise<Outcome>>();
  await noteUnchanged(plan, ports, options);
  for (const change of plan.changes) running.set(refKey(change.ref), runOne(change));

  async function runOne(change: Change): Promise<Outcome> {
    const key = refKey(change.ref);
    const { action } = change;
    if (action === "keep") return { result: "done", action, pending: [] };
    if (action === "blocked") return skip(change, change.reason ?? "blocked");
    // plan.changes is ordered, so whatever this one waits for has been started
    for (const before of change.after) {
      const outcome = await running.get(before);
      if (outcome && outcome.result !== "done")
        return skip(change, `${before} ${outcome.result === "failed" ? "failed" : "was not done"}`);
    }
    if (options.signal?.aborted === true) return { result: "interrupted", action, sent: false };
    return applyChange(change, { ports, options, throttle }).catch((error: unknown): Outcome => ({
      result: "failed",
      action,
      code: "INTERNAL",
      text: `${key}: ${String(error)}`,
      retry: "never",
    }));
  }

  function skip(change: Change, because: string): Outcome {
    ports.onEvent({ type: "change-skipped", key: refKey(change.ref), action: change.action, because });
    return { result: "skipped", action: change.action, because };
  }

  const outcomes = new Map<string, Outcome>();
  for (const [key, outcome] of running) outcomes.set(key, await outcome);
  return { outcomes, interrupted: options.signal?.aborted === true };
}

/**
 * Objects that need no write may still be declared otherwise than last time (a field added with the value it has):
 * the inventory learns it, so that taking the field out again is noticed.
 */
async function noteUnchanged(plan: Plan, ports: ApplyPorts, options: ApplyOptions): Promise<void> {
  const { resources } = await ports.resources.inventory(ports.clock.now());
  const known = new Map(resources.map((one) => [refKey(one.ref), one]));
  for (const change of plan.changes) {
    const before = known.get(refKey(change.ref));
    if (change.action === "keep" && before && asDeclared(before, change, options) !== before)
      await noteOne(change, ports, options);
  }
}

async function noteOne(change: Change, ports: ApplyPorts, options: ApplyOptions): Promise<void> {
  const { leases, clock, isGone, resources } = ports;
  const taker = { leases, clock, isGone, holder: options.holder, signal: options.signal };
  try {
    await withLease(refKey(change.ref), taker, async () => {
      const before = await resources.find(change.ref);
      const now = before && asDeclared(before, change, options);
      if (now && now !== before) await resources.save(now);
    });
  } catch (error) {
    // whoever works on it right now notes what is declared there
    if (!(error instanceof ProxmoorError) || error.code !== "APPLY_BUSY") throw error;
  }
}

/** The inventory's entry as the manifest has it now; the same object where that is no news. */
function asDeclared(before: Resource, { desired, node }: Change, options: ApplyOptions): Resource {
  if (!desired) return before;
  const now: Resource = {
    ...before,
    node: node ?? before.node,
    // declared again before its removal was carried out
    phase: before.phase === "deleting" ? "ready" : before.phase,
    lastApplied: appliedFields(desired),
    labels: desired.labels,
    source: options.sourceOf(desired.place),
    prune: desired.lifecycle.prune,
  };
  if (same(before, now)) return before;
  return { ...now, generation: before.generation + 1, observedGeneration: before.generation + 1 };
}

function same(a: Resource, b: Resource): boolean {
  const of = (one: Resource) =>
    JSON.stringify([one.node, one.phase, sorted(one.lastApplied), sorted(one.labels), one.source, one.prune]);
  return of(a) === of(b);
}

function sorted(record: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
