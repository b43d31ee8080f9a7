import type { DesiredGuest, Fields } from "../desired/types.js";
import { refKey } from "../model/ref.js";
import type { ObservedGuest } from "../observed/types.js";
import { compareFields } from "./compare.js";
import { blocked, change, fingerprintOf } from "./draft.js";
import { planReplace } from "./replace.js";
import { rootOnly } from "./root-only.js";
import { disruptionsOf, obstacle, updateSteps } from "./steps.js";
import type { Change, FieldDiff, PlanPolicy, Resource, Step, StepTarget } from "./types.js";

export interface UpdateInput {
  readonly desired: DesiredGuest;
  readonly resource: Pick<Resource, "identity" | "lastApplied" | "phase">;
  readonly guest: ObservedGuest;
  readonly policy: PlanPolicy;
  readonly adopting?: boolean;
}

/** A guest that is there and is ours, or becomes ours with this change. */
export function planUpdate({ desired, resource, guest, policy, adopting = false }: UpdateInput): Change {
  const at = { vmid: guest.vmid, node: guest.node };
  if (guest.node !== desired.node)
    return blocked(desired, at, {
      reason: `it is on ${guest.node} and the manifest says ${desired.node}: Proxmoor does not migrate guests yet`,
      remedy: `Declare \`node: ${guest.node}\`, or migrate it in PVE and run again.`,
    });
  if (guest.template)
    return blocked(desired, at, {
      reason: "it is a template in PVE",
      remedy: "Declare a guest that is made from it with `from.template`.",
    });
  const target: StepTarget = { kind: guest.kind, vmid: guest.vmid, node: guest.node, identity: resource.identity };
  const isNew = resource.phase === "creating";
  const diffs = compareFields({ desired, lastApplied: resource.lastApplied, guest, policy, isNew });
  if (diffs.some((diff) => diff.effect === "replace"))
    return planReplace(desired, { guest, target, diffs, policy, adopting });
  const hindrance =
    (policy.isRoot === false && guest.kind === "Container" ? rootOnly(diffs, desired.fields) : undefined) ??
    obstacle(diffs, desired.fields, guest);
  if (hindrance) return { ...blocked(desired, at, hindrance), fields: diffs };
  const waits = waitingChanges({ diffs, guest, ours: { ...resource.lastApplied, ...desired.fields } });
  const power = planPower({ desired, guest, isNew, waits });
  const disruptions = disruptionsOf(desired, diffs, power.restart);
  if (power.ops.includes("shutdown")) disruptions.push({ kind: "stop", text: `shut down ${refKey(desired.ref)}` });
  const steps = [
    ...withIdentity(updateSteps(target, diffs), target, guest),
    ...power.ops.map((op) => powerStep(op, target, policy)),
  ];
  return change(desired, {
    action: adopting ? "adopt" : steps.length === 0 && !isNew ? "keep" : "update",
    ...at,
    identity: resource.identity,
    fields: diffs,
    disruptions,
    steps,
    notes: [...(isNew ? ["goes on with a creation that was cut off"] : []), ...(power.notes ?? [])],
    fingerprint: fingerprintOf(guest),
    ...(power.to !== undefined && { power: { from: guest.status, to: power.to } }),
  });
}

function powerStep(op: "start" | "shutdown" | "reboot", target: StepTarget, { shutdown }: PlanPolicy): Step {
  if (op === "start" || !shutdown) return { op, target };
  return op === "reboot" ? { op, target, timeout: shutdown.timeout } : { op, target, ...shutdown };
}

/**
 * A guest that does not carry its identity where it belongs (a clone cut off before its first configure, an adopted one)
 * is given it before anything else.
 */
function withIdentity(steps: readonly Step[], target: StepTarget, guest: ObservedGuest): readonly Step[] {
  if (guest.identities[0] === target.identity || steps[0]?.op === "configure") return steps;
  return [{ op: "configure", target, changes: [] }, ...steps];
}

/** What the next start changes. */
interface Waiting {
  /** Of this plan, and what PVE holds of an earlier one. */
  readonly ours: readonly string[];
  /** All that PVE holds already, of somebody else too: that is no reason to restart, but a restart brings it. */
  readonly pending: readonly string[];
}

function waitingChanges(input: { diffs: readonly FieldDiff[]; guest: ObservedGuest; ours: Fields }): Waiting {
  const { diffs, guest, ours } = input;
  if (guest.status === "stopped") return { ours: [], pending: [] };
  const declared = Object.keys(ours);
  const isOurs = (path: string) => declared.some((one) => one === path || one.startsWith(`${path}.`));
  const fresh = diffs.filter((diff) => diff.effect === "restart").map((diff) => diff.path);
  const changing = new Set(diffs.map((diff) => diff.path));
  const pending = guest.pendingFields.filter((path) => !changing.has(path));
  return {
    ours: [...new Set([...fresh, ...pending.filter(isOurs)])].sort(),
    pending,
  };
}

interface PowerPlan {
  readonly ops: readonly ("start" | "shutdown" | "reboot")[];
  /** Why the guest restarts; undefined where it does not. */
  readonly restart?: string;
  readonly to?: string;
  readonly notes?: readonly string[];
}

/** The power steps after the configuration. A guest that is to stop or start anyway needs no reboot. */
function planPower(input: { desired: DesiredGuest; guest: ObservedGuest; isNew: boolean; waits: Waiting }): PowerPlan {
  const { desired, guest, isNew, waits } = input;
  const runs = guest.status === "running" || guest.status === "paused";
  const wanted = desired.power ?? (isNew ? "running" : "unmanaged");
  if (wanted === "stopped" && runs) return { ops: ["shutdown"], to: "stopped" };
  if (wanted === "running" && guest.status === "stopped") return { ops: ["start"], to: "running" };
  if (waits.ours.length === 0) return { ops: [] };
  const what = waits.ours.join(", ");
  if (desired.lifecycle.restart === "never")
    return { ops: [], notes: [`waits for a restart (lifecycle.restart: never): ${what}`] };
  if (!runs) return { ops: [], notes: [`waits for a restart (PVE does not say whether it runs): ${what}`] };
  const brings =
    waits.pending.length === 0 ? [] : [`the restart brings what PVE holds as pending: ${waits.pending.join(", ")}`];
  return { ops: ["reboot"], restart: what, to: "running (restarted)", notes: brings };
}
