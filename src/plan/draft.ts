import type { DesiredGuest } from "../desired/types.js";
import { refKey } from "../model/ref.js";
import type { GuestSummary, ObservedGuest, ObservedState, Sight } from "../observed/types.js";
import type { Change, PlanPolicy, Resource } from "./types.js";

/** What planning one guest needs to know. */
export interface GuestContext {
  readonly observed: ObservedState;
  readonly policy: PlanPolicy;
  readonly nextVmid: () => number | undefined;
  /** Guests of the cluster by `kind/name`, templates and foreign ones too. */
  readonly byName: ReadonlyMap<string, readonly GuestSummary[]>;
  /** The resource that has a vmid, if any. */
  readonly byVmid: ReadonlyMap<number, Resource>;
}

type Draft = Partial<Change> & Pick<Change, "action" | "fingerprint">;

export function change(desired: DesiredGuest, draft: Draft): Change {
  return {
    ref: desired.ref,
    fields: [],
    disruptions: [],
    steps: [],
    notes: [],
    after: desired.dependsOn.map(refKey),
    desired,
    ...draft,
  };
}

export function blocked(
  desired: DesiredGuest,
  at: { vmid?: number; node?: string },
  why: { reason: string; remedy: string },
): Change {
  return change(desired, { action: "blocked", fingerprint: "blocked", ...at, ...why });
}

/** What a plan for a present guest was made against; another value before the first write means: plan again. */
export function fingerprintOf(guest: ObservedGuest): string {
  return `${guest.vmid}@${guest.node}:${guest.digest}:${guest.status}${guest.lock === undefined ? "" : `:${guest.lock}`}`;
}

export function describeGuest(guest: ObservedGuest): string {
  const identity = guest.identities[0] === undefined ? "no identity" : `identity ${guest.identities[0]}`;
  return `${guest.kind === "Container" ? "container" : "VM"} ${guest.vmid} "${guest.name ?? ""}" on ${guest.node} (${identity})`;
}

/** What is known of a vmid: one that is listed but was not read, or could be on a silent node, is not absent. */
export function sightOf(observed: ObservedState, vmid: number, node: string): Sight {
  const sight = observed.sights.get(vmid);
  if (sight) return sight;
  const listed = observed.summaries.get(vmid);
  if (listed) return { at: "unreadable", node: listed.node, reason: "its configuration was not read" };
  const home = observed.nodes.find((one) => one.name === node);
  if (observed.complete || home?.status === "online") return { at: "absent" };
  return { at: "unreadable", node, reason: "nobody can say whether it exists" };
}
