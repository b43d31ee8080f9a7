import type { DesiredGuest } from "../desired/types.js";
import { refKey } from "../model/ref.js";
import type { GuestSummary, ObservedGuest } from "../observed/types.js";
import { compareFields } from "./compare.js";
import { planCreate } from "./create.js";
import { blocked, change, describeGuest, fingerprintOf, sightOf, type GuestContext } from "./draft.js";
import { disruptionsOf, obstacle, updateSteps } from "./steps.js";
import type { Change, FieldDiff, PlanPolicy, Resource, Step, StepTarget } from "./types.js";

/** One declared guest against what is there. Pure. */
export function planGuest(desired: DesiredGuest, resource: Resource | undefined, context: GuestContext): Change {
  return resource ? planManaged(desired, resource, context) : planUnknown(desired, context);
}

function planManaged(desired: DesiredGuest, resource: Resource, context: GuestContext): Change {
  const at = { vmid: resource.vmid, node: resource.node };
  if (desired.vmid !== undefined && desired.vmid !== resource.vmid)
    return blocked(desired, at, {
      reason: `it has vmid ${resource.vmid} and the manifest says ${desired.vmid}: a guest can't change its vmid`,
      remedy: `Declare ${resource.vmid} (or no vmid), or delete the guest and let it be made again.`,
    });
  const sight = sightOf(context.observed, resource.vmid, resource.node);
  switch (sight.at) {
    case "unreadable":
      return blocked(desired, at, {
        reason: `${sight.node} does not answer: ${sight.reason}`,
        remedy: "Run again when the node is back.",
      });
    case "absent":
      return planCreate(desired, context, resource);
    case "present":
      return planPresent(desired, resource, { guest: sight.guest, context });
  }
}

function planPresent(
  desired: DesiredGuest,
  resource: Resource,
  seen: { guest: ObservedGuest; context: GuestContext },
): Change {
  const { guest, context } = seen;
  if (!guest.identities.includes(resource.identity) || guest.kind !== resource.ref.kind) {
    // nothing of ours was ever made under this vmid: another one may be taken
    if (resource.phase === "creating" && desired.vmid === undefined) return planCreate(desired, context, undefined);
    return blocked(desired, guest, {
      reason: `vmid ${resource.vmid} now belongs to another guest: ${describeGuest(guest)}; ours had identity ${resource.identity}`,
      remedy: `Move the other guest away, adopt it (--adopt with its vmid declared), or forget ours with \`proxmoor delete ${refKey(desired.ref)} --forget\`.`,
    });
  }
  return planUpdate({ desired, resource, guest, policy: context.policy });
}

interface UpdateInput {
  readonly desired: DesiredGuest;
  readonly resource: Pick<Resource, "identity" | "lastApplied" | "phase">;
  readonly guest: ObservedGuest;
  readonly policy: PlanPolicy;
  readonly adopting?: boolean;
}

function planUpdate({ desired, resource, guest, policy, adopting }: UpdateInput): Change {
  const at = { vmid: guest.vmid, node: guest.node };
  if (guest.node !== desired.node)
    return blocked(desired, at, {
      reason: `it is on ${guest.node} and the manifest says ${desired.node}: Proxmoor does not migrate guests yet`,
      remedy: `Declare \`node: ${guest.node}\`, or migrate it in PVE and run again.`,
    });
  if (guest.template)
    return blocked(desired, at, {
      reason: "it is a template in PVE",
      remedy: "Declare a guest that is made from it with `from.template`.",
    });
  const target: StepTarget = { kind: guest.kind, vmid: guest.vmid, node: guest.node, identity: resource.identity };
  const diffs = compareFields({ desired, lastApplied: resource.lastApplied, guest, policy });
  if (diffs.some((diff) => diff.effect === "replace")) return planReplace(desired, { guest, target, diffs, policy });
  const hindrance = obstacle(diffs);
  if (hindrance) return { ...blocked(desired, at, hindrance), fields: diffs };
  const steps = updateSteps(target, diffs);
  const power = planPower({
    desired,
    guest,
    isNew: resource.phase === "creating",
    waits: waitsForRestart(diffs, guest),
  });
  const disruptions = disruptionsOf(desired, diffs, power.restarts);
  if (power.stops) disruptions.push({ kind: "stop", text: `shut down ${refKey(desired.ref)}` });
  const all = [...steps, ...power.ops.map((op) => powerStep(op, target, policy))];
  const isNothing = all.length === 0 && resource.phase !== "creating" && adopting !== true;
  return change(desired, {
    action: adopting === true ? "adopt" : isNothing ? "keep" : "update",
    ...at,
    identity: resource.identity,
    fields: diffs,
    disruptions,
    steps: all,
    notes: power.note === undefined ? [] : [power.note],
    fingerprint: fingerprintOf(guest),
    ...(power.to !== undefined && { power: { from: guest.status, to: power.to } }),
  });
}

function powerStep(op: "start" | "shutdown" | "reboot", target: StepTarget, { shutdown }: PlanPolicy): Step {
  if (op === "start" || !shutdown) return { op, target };
  return op === "reboot" ? { op, target, timeout: shutdown.timeout } : { op, target, ...shutdown };
}

/** Paths that wait for a restart: of this plan, and those that PVE holds as pending from before. */
function waitsForRestart(diffs: readonly FieldDiff[], guest: ObservedGuest): string[] {
  const fresh = diffs.filter((diff) => diff.effect === "restart").map((diff) => diff.path);
  return guest.status === "stopped" ? [] : [...new Set([...fresh, ...guest.pendingFields])].sort();
}

interface PowerPlan {
  readonly ops: readonly ("start" | "shutdown" | "reboot")[];
  readonly restarts: boolean;
  readonly stops: boolean;
  readonly to?: string;
  readonly note?: string;
}

/** The power steps after the configuration. A guest that is to stop or start anyway needs no reboot. */
function planPower(input: {
  desired: DesiredGuest;
  guest: ObservedGuest;
  isNew: boolean;
  waits: readonly string[];
}): PowerPlan {
  const { desired, guest, isNew, waits } = input;
  const runs = guest.status === "running" || guest.status === "paused";
  const wanted = desired.power ?? (isNew ? "running" : "unmanaged");
  if (wanted === "stopped" && runs) return { ops: ["shutdown"], restarts: false, stops: true, to: "stopped" };
  if (wanted === "running" && guest.status === "stopped")
    return { ops: ["start"], restarts: false, stops: false, to: "running" };
  if (waits.length === 0) return { ops: [], restarts: false, stops: false };
  if (desired.lifecycle.restart === "never")
    return {
      ops: [],
      restarts: false,
      stops: false,
      note: `waits for a restart (lifecycle.restart: never): ${waits.join(", ")}`,
    };
  return { ops: ["reboot"], restarts: true, stops: false, to: "running (restarted)" };
}

function planReplace(
  desired: DesiredGuest,
  input: { guest: ObservedGuest; target: StepTarget; diffs: readonly FieldDiff[]; policy: PlanPolicy },
): Change {
  const { guest, target, diffs, policy } = input;
  const key = refKey(desired.ref);
  const why = diffs.filter((diff) => diff.effect === "replace").map((diff) => diff.path);
  if (!policy.allowReplace.has(key))
    return {
      ...blocked(
        desired,
        { vmid: guest.vmid, node: guest.node },
        {
          reason: `${why.join(", ")} can only change by destroying the guest and making it anew, with all its data lost`,
          remedy: `Take the change back, or consent with \`--allow replace=${key}\`.`,
        },
      ),
      fields: diffs,
    };
  const stop: Step[] = guest.status === "stopped" ? [] : [{ op: "stop", target }];
  const fresh: StepTarget = { ...target, identity: policy.newIdentity(desired.ref) };
  const template = desired.from?.template;
  const create: Step = {
    op: "create",
    target: fresh,
    fields: desired.fields,
    ...(template !== undefined && { template }),
  };
  const start: Step[] = (desired.power ?? "running") === "running" ? [{ op: "start", target: fresh }] : [];
  return change(desired, {
    action: "replace",
    vmid: guest.vmid,
    node: guest.node,
    identity: fresh.identity,
    fields: diffs,
    disruptions: [{ kind: "replace", text: `destroy ${key} with all its data and make it anew (${why.join(", ")})` }],
    steps: [...stop, { op: "destroy", target }, create, ...start],
    fingerprint: fingerprintOf(guest),
  });
}

/** Declared, but not in the inventory: to be made, unless a guest of that name or vmid exists. */
function planUnknown(desired: DesiredGuest, context: GuestContext): Change {
  const namesakes = context.byName.get(refKey(desired.ref)) ?? [];
  const candidate = desired.vmid !== undefined ? context.observed.summaries.get(desired.vmid) : namesakes[0];
  if (!candidate && desired.vmid === undefined) return planCreate(desired, context, undefined);
  if (!candidate && namesakes.length === 0) return planCreate(desired, context, undefined);
  if (!candidate || (desired.vmid === undefined && namesakes.length > 1))
    return blocked(
      desired,
      {},
      {
        reason: `guests of this name exist already: ${namesakes.map((one) => `vmid ${one.vmid} on ${one.node}`).join(", ")}`,
        remedy: "Choose another name, or declare the vmid of the one you mean and adopt it (--adopt).",
      },
    );
  return planAdoption(desired, candidate, context);
}

function planAdoption(desired: DesiredGuest, candidate: GuestSummary, context: GuestContext): Change {
  const at = { vmid: candidate.vmid, node: candidate.node };
  const owner = context.byVmid.get(candidate.vmid);
  const sight = sightOf(context.observed, candidate.vmid, candidate.node);
  if (sight.at === "unreadable")
    return blocked(desired, at, {
      reason: `${sight.node} does not answer: ${sight.reason}`,
      remedy: "Run again when the node is back.",
    });
  if (owner || candidate.kind !== desired.ref.kind || sight.at !== "present")
    return blocked(desired, at, {
      reason: `vmid ${candidate.vmid} is taken by ${owner ? refKey(owner.ref) : `${candidate.kind} "${candidate.name ?? ""}" on ${candidate.node}`}`,
      remedy: "Declare another vmid, or none.",
    });
  if (!desired.adopt && !context.policy.adopt)
    return blocked(desired, at, {
      reason: `it exists already and Proxmoor did not make it: ${describeGuest(sight.guest)}`,
      remedy: 'Adopt it with --adopt or the annotation `proxmoor.dev/adopt: "true"`, or choose another name.',
    });
  const known = sight.guest.identities[0];
  const identity = known ?? context.policy.newIdentity(desired.ref);
  const planned = planUpdate({
    desired,
    resource: { identity, lastApplied: {}, phase: "ready" },
    guest: sight.guest,
    policy: context.policy,
    adopting: true,
  });
  if (planned.action !== "adopt" || known !== undefined) return planned;
  // it has no identity yet: the first configure writes the marker
  const target: StepTarget = { kind: desired.ref.kind, vmid: candidate.vmid, node: candidate.node, identity };
  const marks = planned.steps.some((step) => step.op === "configure");
  const steps: Step[] = marks ? [...planned.steps] : [{ op: "configure", target, changes: [] }, ...planned.steps];
  return {
    ...planned,
    steps,
    notes: [...planned.notes, "its description gets Proxmoor's identity marker, nothing else"],
  };
}
