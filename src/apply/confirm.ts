import { ProxmoorError } from "../model/errors.js";
import { refKey } from "../model/ref.js";
import type { Change } from "../plan/types.js";
import type { ApplyPorts } from "./ports.js";

/**
 * The change as it is to be carried out: planned again on a fresh look, and taken only if it is what was approved;
 * undefined where nothing is left to do. Throws PLAN_BLOCKED, APPLY_STALE.
 */
export async function confirm(planned: Change, ports: Pick<ApplyPorts, "replan">): Promise<Change | undefined> {
  const fresh = await ports.replan(planned);
  if (fresh === undefined || fresh.action === "keep") return undefined;
  if (fresh.action === "blocked")
    throw new ProxmoorError("PLAN_BLOCKED", fresh.reason ?? "it can't be changed as things are", {
      subject: refKey(planned.ref),
      retry: "later",
      remedy: fresh.remedy,
    });
  if (isApproved(fresh, planned)) return fresh;
  throw new ProxmoorError("APPLY_STALE", "the guest changed since the plan was made, and the plan with it", {
    subject: refKey(planned.ref),
    retry: "later",
    remedy: "Nothing was changed. Look at the new plan and apply again.",
  });
}

function isApproved(fresh: Change, planned: Change): boolean {
  if (fresh.action === "delete" && planned.action === "delete") {
    // the guest was stopped, or is gone, in the meantime: less is to be done than was approved
    const approved = planned.steps.map((step) => step.op);
    return fresh.identity === planned.identity && fresh.steps.every((step) => approved.includes(step.op));
  }
  return essence(fresh) === essence(planned);
}

/** What was approved: the fields with their values and effects, the steps and the disruptions. */
function essence(change: Change): string {
  return JSON.stringify([change.action, change.fields, change.steps.map((step) => step.op), change.disruptions]);
}
