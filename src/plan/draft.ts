import type { DesiredGuest } from "../desired/types.js";
import { formatQuantity } from "../model/quantity.js";
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
  /** True for a guest (refKey) that is declared, in the inventory, or in the cluster. */
  readonly isKnown: (key: string) => boolean;
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

/** Why something can't be done, and what to do about it. */
export interface Hindrance {
  readonly reason: string;
  readonly remedy: string;
}

export function blocked(
  desired: DesiredGuest,
  { vmid, node }: { readonly vmid?: number; readonly node?: string },
  why: Hindrance,
): Change {
  return change(desired, {
    action: "blocked",
    fingerprint: "blocked",
    // `at` is often a whole guest or target: no more than its place is taken over
    ...(vmid !== undefined && { vmid }),
    ...(node !== undefined && { node }),
    ...why,
  });
}

/** Silence has many reasons: a node that is down, a missing permission, a configuration that moved this second. */
export function unreadable(sight: Extract<Sight, { at: "unreadable" }>): Hindrance {
  return {
    reason: `it could not be read on ${sight.node}: ${sight.reason}`,
    remedy: "Nothing is changed on the strength of silence; run again when PVE answers for it.",
  };
}

/** PVE destroys no guest with `protection` set [qemudelete/protected.delete], so it must not even be stopped for it. */
export function protection(guest: ObservedGuest): Hindrance | undefined {
  if (guest.config["protection"] !== "1") return undefined;
  return {
    reason: "it is protected in PVE (protection: 1)",
    remedy: "Take the protection away in PVE if it is to go.",
  };
}

/** What goes with a guest: every volume that its configuration names, unused ones too. */
export function volumesOf(guest: ObservedGuest): string[] {
  const volumes: string[] = [];
  for (const [path, storage] of Object.entries(guest.fields)) {
    const slot = /^(?:(?:disks|mounts)\.([a-z]+\d+)|(rootfs))\.storage$/.exec(path);
    if (!slot) continue;
    const size = guest.fields[path.replace(/storage$/, "size")];
    const sized = typeof size === "number" ? `${formatQuantity(size)} ` : "";
    volumes.push(`${slot[1] ?? "rootfs"} (${sized}on ${String(storage)})`);
  }
  for (const [key, volume] of Object.entries(guest.config))
    if (/^unused\d+$/.test(key)) volumes.push(`${key} (${volume})`);
  return volumes.sort();
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
