import type { DesiredState } from "../desired/types.js";
import type { ObservedState } from "../observed/types.js";
import type { Inventory, PlanPolicy } from "./types.js";

/**
 * Gives out the lowest free vmid of the range: not used in the cluster, not reserved, not in quarantine, not declared
 * by any manifest, not given out before by this allocator. undefined when the range is used up.
 */
export function vmidAllocator(input: {
  desired: DesiredState;
  observed: ObservedState;
  inventory: Inventory;
  policy: PlanPolicy;
}): () => number | undefined {
  const taken = new Set<number>(input.inventory.unavailableVmids);
  for (const vmid of input.observed.summaries.keys()) taken.add(vmid);
  for (const resource of input.inventory.resources) taken.add(resource.vmid);
  for (const guest of input.desired.guests) if (guest.vmid !== undefined) taken.add(guest.vmid);
  let next = input.policy.vmidRange.first;
  return () => {
    while (taken.has(next)) next++;
    return next <= input.policy.vmidRange.last ? next++ : undefined;
  };
}
