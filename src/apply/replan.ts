import { refKey } from "../model/ref.js";
import type { ObservedState } from "../observed/types.js";
import { planChanges, planDelete } from "../plan/plan.js";
import type { Change, Inventory, PlanPolicy, Resource, StepTarget } from "../plan/types.js";
import type { Clock } from "./ports.js";
import type { ResourceStore, StepSender } from "./types.js";

type Place = Omit<StepTarget, "identity">;

/**
 * Plans one object again on a fresh look at its guest; nodes, storages and lists are those of the first look. The
 * identity that the first plan gave out stays, and the vmid unless it has been taken since.
 */
export function replanner(input: {
  observed: ObservedState;
  policy: PlanPolicy;
  sender: StepSender;
  resources: ResourceStore;
  clock: Clock;
  signal?: AbortSignal;
}): (change: Change) => Promise<Change | undefined> {
  const { policy, sender, resources, clock, signal } = input;
  return async (change) => {
    const resource = await resources.find(change.ref);
    const observed = await lookAgain(input.observed, placesOf(change, resource), sender, signal);
    // whether it is to be deleted was decided when it was planned; `prune` has been asked then
    if (!change.desired) return resource && planDelete({ ...resource, prune: "delete" }, observed);
    const inventory = resource && change.action !== "create" ? only(resource) : await resources.inventory(clock.now());
    const again = planChanges({
      desired: { guests: [change.desired] },
      // what it depends on was judged when all was planned
      declared: new Set(change.desired.dependsOn.map(refKey)),
      observed,
      inventory,
      policy: {
        ...policy,
        prunes: undefined,
        vmidRange: preferred(change, { inventory, observed }) ?? policy.vmidRange,
        newIdentity: (ref) => change.identity ?? policy.newIdentity(ref),
      },
    });
    return again.changes[0];
  };
}

/** A guest of the inventory needs no other entry to be planned: reading them all for each of many is a square. */
function only(resource: Resource): Inventory {
  return { resources: [resource], unavailableVmids: new Set([resource.vmid]) };
}

/** The range of just the vmid that the first plan gave out, while it is free. */
function preferred(
  { vmid }: Change,
  now: { inventory: Inventory; observed: ObservedState },
): PlanPolicy["vmidRange"] | undefined {
  const isTaken = vmid === undefined || now.inventory.unavailableVmids.has(vmid) || now.observed.summaries.has(vmid);
  return isTaken ? undefined : { first: vmid, last: vmid };
}

/** Where the object may be: as planned, and as the inventory has it since. */
function placesOf(change: Change, resource: Resource | undefined): Place[] {
  const { vmid, node } = change;
  const places = new Map<number, Place>();
  if (vmid !== undefined && node !== undefined) places.set(vmid, { kind: change.ref.kind, vmid, node });
  if (resource) places.set(resource.vmid, { kind: resource.ref.kind, vmid: resource.vmid, node: resource.node });
  return [...places.values()];
}

/** The observed state with fresh sights of some guests. */
export async function lookAgain(
  observed: ObservedState,
  places: readonly Place[],
  sender: Pick<StepSender, "look">,
  signal?: AbortSignal,
): Promise<ObservedState> {
  const summaries = new Map(observed.summaries);
  const sights = new Map(observed.sights);
  for (const at of places) {
    const sight = await sender.look(at, signal);
    if (sight.at === "present") summaries.set(at.vmid, sight.guest);
    // absent here says nothing about a guest that a list has on another node
    else if (sight.at === "absent" && summaries.get(at.vmid)?.node === at.node) summaries.delete(at.vmid);
    if (sight.at !== "absent" || !summaries.has(at.vmid)) sights.set(at.vmid, sight);
  }
  return { ...observed, summaries, sights };
}
