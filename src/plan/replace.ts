import type { DesiredGuest } from "../desired/types.js";
import { refKey } from "../model/ref.js";
import type { ObservedGuest } from "../observed/types.js";
import { blocked, change, fingerprintOf, protection, volumesOf, type Hindrance } from "./draft.js";
import { createStep, hindersMaking } from "./steps.js";
import type { Change, FieldDiff, PlanPolicy, Step, StepTarget } from "./types.js";

interface ReplaceInput {
  readonly guest: ObservedGuest;
  readonly target: StepTarget;
  readonly diffs: readonly FieldDiff[];
  readonly policy: PlanPolicy;
  readonly adopting: boolean;
}

/** A guest with a field that only another guest can have: destroyed and made anew, where that was consented to. */
export function planReplace(desired: DesiredGuest, input: ReplaceInput): Change {
  const { guest, target, diffs, policy } = input;
  const key = refKey(desired.ref);
  const why = diffs.filter((diff) => diff.effect === "replace").map((diff) => diff.path);
  const hindrance = hindrances(desired, why.join(", "), input);
  if (hindrance) return { ...blocked(desired, guest, hindrance), fields: diffs };
  const stop: Step[] = guest.status === "stopped" ? [] : [{ op: "stop", target }];
  const fresh: StepTarget = { ...target, identity: policy.newIdentity(desired.ref) };
  const start: Step[] = (desired.power ?? "running") === "running" ? [{ op: "start", target: fresh }] : [];
  const volumes = volumesOf(guest);
  return change(desired, {
    action: "replace",
    vmid: guest.vmid,
    node: guest.node,
    identity: fresh.identity,
    fields: diffs,
    disruptions: [{ kind: "replace", text: `destroy ${key} with all its data and make it anew (${why.join(", ")})` }],
    steps: [...stop, { op: "destroy", target }, createStep(fresh, desired), ...start],
    notes: volumes.length === 0 ? [] : [`destroys ${volumes.join(", ")}`],
    fingerprint: fingerprintOf(guest),
  });
}

/** Whatever would fail after the old guest is gone has to be known before. */
function hindrances(
  desired: DesiredGuest,
  why: string,
  { guest, policy, adopting }: ReplaceInput,
): Hindrance | undefined {
  const key = refKey(desired.ref);
  if (adopting)
    return {
      reason: `${why} can only change by destroying the guest, and Proxmoor destroys none that it does not have yet`,
      remedy: "Adopt the guest as it is; change it afterwards.",
    };
  if (!policy.allowReplace.has(key))
    return {
      reason: `${why} can only change by destroying the guest and making it anew, with all its data lost`,
      remedy: `Take the change back, or consent with \`--allow replace=${key}\`.`,
    };
  return protection(guest) ?? hindersMaking(desired, policy);
}
