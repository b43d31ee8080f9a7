import { setCondition, type Condition, type ConditionType } from "../model/condition.js";
import type { Resource } from "../plan/types.js";

type Say = { readonly status: Condition["status"]; readonly reason: string; readonly message: string };

/** What a reconcile found out, for the conditions it sets. */
export interface Findings {
  readonly ready: Say;
  readonly synced: Say;
  readonly drifted: Say;
  readonly restartRequired: Say;
  readonly blocked: Say;
}

const NO: Say = { status: "False", reason: "Fine", message: "" };

/** The conditions of a guest that is as it should be, with what differs from that. */
export function findings(differences: Partial<Findings>): Findings {
  const yes = (reason: string): Say => ({ status: "True", reason, message: "" });
  return {
    ready: yes("AsDeclared"),
    synced: yes("Applied"),
    drifted: NO,
    restartRequired: NO,
    blocked: NO,
    ...differences,
  };
}

/** All is as declared, or waits for a restart. */
export function restartFindings(pending: readonly string[]): Findings {
  if (pending.length === 0) return findings({});
  return findings({ restartRequired: { status: "True", reason: "PendingChanges", message: pending.join(", ") } });
}

/** The last try failed; what the guest is like nobody can say. */
export function failureFindings(text: string): Findings {
  return findings({
    synced: { status: "False", reason: "Failed", message: text },
    ready: { status: "Unknown", reason: "Failed", message: text },
  });
}

/** The resource with its conditions brought up to date; the same object where nothing is new. */
export function withFindings(resource: Resource, found: Findings, now: number): Resource {
  const types: readonly [ConditionType, Say][] = [
    ["Ready", found.ready],
    ["Synced", found.synced],
    ["Drifted", found.drifted],
    ["RestartRequired", found.restartRequired],
    ["Blocked", found.blocked],
  ];
  let conditions: readonly Condition[] = resource.conditions;
  for (const [type, say] of types)
    conditions = setCondition(conditions, {
      type,
      ...say,
      lastTransition: now,
      observedGeneration: resource.generation,
    });
  return JSON.stringify(conditions) === JSON.stringify(resource.conditions) ? resource : { ...resource, conditions };
}
