import { ProxmoorError } from "../model/errors.js";
import type { Plan, PlanPolicy } from "./types.js";

/**
 * Stops a plan that destroys more guests than the policy allows: rather a question too many than a cluster too few.
 * Guests that are gone already do not count.
 */
export function guardPlan(plan: Plan, policy: Pick<PlanPolicy, "maxDeletes">): void {
  const deletes = plan.changes.filter((change) => change.steps.some((step) => step.op === "destroy")).length;
  if (deletes > policy.maxDeletes)
    throw new ProxmoorError(
      "PLAN_GUARD",
      `the plan would destroy ${deletes} guests and at most ${policy.maxDeletes} are allowed at once`,
      {
        remedy: `Look at the plan with \`proxmoor diff\`; if it is right, say --max-deletes ${deletes}.`,
      },
    );
}

/** True where `diff` answers 1: something is to be done, or can't be. */
export function hasChanges(plan: Plan): boolean {
  return plan.changes.some((change) => change.action !== "keep");
}
