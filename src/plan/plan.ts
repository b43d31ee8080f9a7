import type { DesiredState } from "../desired/types.js";
import { compareRefs, refKey, type Ref } from "../model/ref.js";
import type { GuestSummary, ObservedState } from "../observed/types.js";
import {
  describeGuest,
  fingerprintOf,
  protection,
  sightOf,
  unreadable,
  volumesOf,
  type GuestContext,
} from "./draft.js";
import { planGuest } from "./guest.js";
import { orderChanges } from "./order.js";
import type { Change, Inventory, Plan, PlanPolicy, PlanSummary, Resource, Step, StepTarget } from "./types.js";
import { vmidAllocator } from "./vmids.js";

/** Everything a plan is made of: what should be, what is, what is ours, and what is allowed. */
export interface PlanInput {
  readonly desired: DesiredState;
  readonly observed: ObservedState;
  readonly inventory: Inventory;
  readonly policy: PlanPolicy;
  /** Every declared guest (refKey), where `desired` holds only some of them. */
  readonly declared?: ReadonlySet<string>;
}

/**
 * The one planner: `diff`, `apply` and the controller call it. Pure, deterministic (given `policy.newIdentity`),
 * linear in the number of guests.
 */
export function planChanges({ desired, observed, inventory, policy, declared: all }: PlanInput): Plan {
  const byKey = new Map(inventory.resources.map((one) => [refKey(one.ref), one]));
  const byName = namesOf(observed);
  const declared = new Set(desired.guests.map((guest) => refKey(guest.ref)));
  const context: GuestContext = {
    observed,
    policy,
    nextVmid: vmidAllocator({ desired, observed, inventory, policy }),
    byName,
    isKnown: (key) => declared.has(key) || all?.has(key) === true || byKey.has(key) || byName.has(key),
    byVmid: new Map(inventory.resources.map((one) => [one.vmid, one])),
  };
  const guests = [...desired.guests].sort((a, b) => compareRefs(a.ref, b.ref));
  const changes = guests.map((guest) => planGuest(guest, byKey.get(refKey(guest.ref)), context));
  const gone = inventory.resources
    .filter((one) => policy.prunes?.(one.source) === true && !declared.has(refKey(one.ref)))
    .sort((a, b) => compareRefs(a.ref, b.ref));
  for (const resource of gone) changes.push(planDelete(resource, observed));
  const ordered = orderChanges(changes);
  const unread = observed.nodes
    .filter((node) => node.status !== "online")
    .map((node) => `${node.name} does not answer (${node.status}): its guests are neither changed nor taken for gone`);
  return { changes: ordered, summary: summarise(ordered), warnings: unread };
}

function namesOf(observed: ObservedState): Map<string, GuestSummary[]> {
  const names = new Map<string, GuestSummary[]>();
  for (const one of observed.summaries.values()) {
    if (one.name === undefined || one.template) continue;
    const ref: Ref = { kind: one.kind, name: one.name };
    names.set(refKey(ref), [...(names.get(refKey(ref)) ?? []), one]);
  }
  return names;
}

/** The removal of a guest of the inventory: only where it is seen, and is the one that Proxmoor made. */
export function planDelete(resource: Resource, observed: ObservedState): Change {
  const base = {
    ref: resource.ref,
    vmid: resource.vmid,
    node: resource.node,
    identity: resource.identity,
    fields: [],
    after: [],
    disruptions: [],
    steps: [],
    notes: [],
  };
  if (resource.prune === "keep")
    return {
      ...base,
      action: "keep",
      fingerprint: "kept",
      notes: ["no longer declared; kept (lifecycle.prune: keep)"],
    };
  const sight = sightOf(observed, resource.vmid, resource.node);
  if (sight.at === "unreadable")
    return {
      ...base,
      action: "blocked",
      fingerprint: "blocked",
      ...unreadable(sight),
    };
  if (sight.at === "absent" || (!sight.guest.identities.includes(resource.identity) && resource.phase !== "ready"))
    return { ...base, action: "delete", fingerprint: "absent", notes: ["is gone already; only the inventory changes"] };
  const guest = sight.guest;
  if (!guest.identities.includes(resource.identity))
    return {
      ...base,
      action: "blocked",
      fingerprint: "blocked",
      reason: `vmid ${resource.vmid} now belongs to another guest: ${describeGuest(guest)}; ours had identity ${resource.identity}`,
      remedy: `Forget ours with \`proxmoor delete ${refKey(resource.ref)} --forget\`; the other guest is left alone.`,
    };
  const hindrance = protection(guest);
  if (hindrance) return { ...base, action: "blocked", fingerprint: "blocked", ...hindrance };
  const volumes = volumesOf(guest);
  const target: StepTarget = { kind: guest.kind, vmid: guest.vmid, node: guest.node, identity: resource.identity };
  const stop: Step[] = guest.status === "stopped" ? [] : [{ op: "stop", target }];
  return {
    ...base,
    action: "delete",
    node: guest.node,
    disruptions: [
      {
        kind: "delete",
        text: `delete ${refKey(resource.ref)} (vmid ${guest.vmid} on ${guest.node})${volumes.length === 0 ? "" : " with all its volumes"}`,
      },
    ],
    steps: [...stop, { op: "destroy", target }],
    notes: volumes.length === 0 ? [] : [`destroys ${volumes.join(", ")}`],
    fingerprint: fingerprintOf(guest),
  };
}

/** Counts a plan's changes by action. */
export function summarise(changes: readonly Change[]): PlanSummary {
  const count = (action: Change["action"]) => changes.filter((one) => one.action === action).length;
  return {
    create: count("create"),
    update: count("update"),
    replace: count("replace"),
    delete: count("delete"),
    adopt: count("adopt"),
    blocked: count("blocked"),
    unchanged: count("keep"),
    restarts: changes.filter((one) => one.disruptions.some((d) => d.kind === "restart")).length,
  };
}
