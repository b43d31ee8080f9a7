import { refKey } from "../model/ref.js";
import type { ObservedState } from "../observed/types.js";
import { planChanges, planDelete } from "../plan/plan.js";
import type { Change, PlanPolicy } from "../plan/types.js";
import type { Clock } from "./ports.js";
import type { ResourceStore, StepSender } from "./types.js";

/**
 * Plans one object again on a fresh look at its guest; nodes, storages and lists are those of the first look. The vmid
 * and the identity that the first plan gave out stay.
 */
export function replanner(input: {
  observed: ObservedState;
  policy: PlanPolicy;
  sender: StepSender;
  resources: ResourceStore;
  clock: Clock;
  signal?: AbortSignal;
}): (change: Change) => Promise<Change | undefined> {
  const { policy, sender, resources, clock } = input;
  return async (change) => {
    const { vmid, node } = change;
    const observed =
      vmid === undefined || node === undefined
        ? input.observed
        : await lookAgain(input.observed, { change, vmid, node }, sender, input.signal);
    const inventory = await resources.inventory(clock.now());
    if (!change.desired) {
      const resource = inventory.resources.find((one) => refKey(one.ref) === refKey(change.ref));
      return resource && planDelete(resource, observed);
    }
    // a resource whose vmid another guest has taken is given a new one by the first plan: keep that
    const others = inventory.resources.filter((one) => refKey(one.ref) !== refKey(change.ref) || one.vmid === vmid);
    const isNew = change.action === "create" && vmid !== undefined;
    const desired = isNew ? { ...change.desired, vmid } : change.desired;
    const again = planChanges({
      desired: { guests: [desired] },
      observed,
      inventory: { resources: others, unavailableVmids: inventory.unavailableVmids },
      policy: { ...policy, prunes: undefined, newIdentity: (ref) => change.identity ?? policy.newIdentity(ref) },
    });
    return again.changes[0];
  };
}

async function lookAgain(
  observed: ObservedState,
  at: { change: Change; vmid: number; node: string },
  sender: StepSender,
  signal: AbortSignal | undefined,
): Promise<ObservedState> {
  const sight = await sender.look({ kind: at.change.ref.kind, vmid: at.vmid, node: at.node }, signal);
  const summaries = new Map(observed.summaries);
  if (sight.at === "present") summaries.set(at.vmid, sight.guest);
  // absent here says nothing about a guest that a list has on another node
  else if (sight.at === "absent" && summaries.get(at.vmid)?.node === at.node) summaries.delete(at.vmid);
  const sights = new Map(observed.sights);
  if (sight.at !== "absent" || !summaries.has(at.vmid)) sights.set(at.vmid, sight);
  return { ...observed, summaries, sights };
}
