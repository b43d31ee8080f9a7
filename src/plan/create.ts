import type { DesiredGuest } from "../desired/types.js";
import { refKey } from "../model/ref.js";
import type { ObservedGuest, ObservedState } from "../observed/types.js";
import { compareFields } from "./compare.js";
import { closest } from "./closest.js";
import { blocked, change, type GuestContext, type Hindrance } from "./draft.js";
import { storageHindrance } from "./storages.js";
import { cloneStep, cloneSteps, createStep, fieldsOfClone, hindersMaking, obstacle } from "./steps.js";
import type { Change, FieldDiff, Resource, Step, StepTarget } from "./types.js";

/** A guest that has to be made; `resource` where the inventory knows it and it is gone. */
export function planCreate(desired: DesiredGuest, context: GuestContext, resource: Resource | undefined): Change {
  const missing = nodeHindrance(desired, context.observed) ?? dependencyHindrance(desired, context);
  if (missing) return notMade(desired, { node: desired.node }, missing);
  const vmid = resource?.vmid ?? desired.vmid ?? context.nextVmid();
  if (vmid === undefined)
    return notMade(
      desired,
      {},
      { reason: "every vmid of the range is used, reserved or in quarantine", remedy: "Widen --vmid-range." },
    );
  const owner = context.byVmid.get(vmid);
  if (owner && refKey(owner.ref) !== refKey(desired.ref))
    return notMade(
      desired,
      { vmid, node: desired.node },
      { reason: `vmid ${vmid} is that of ${refKey(owner.ref)}`, remedy: "Declare another vmid, or none." },
    );
  const identity = resource?.identity ?? context.policy.newIdentity(desired.ref);
  const target: StepTarget = { kind: desired.ref.kind, vmid, node: desired.node, identity };
  const clones = desired.ref.kind === "VirtualMachine" && desired.from !== undefined;
  const planned = clones ? planClone(desired, context, target) : planScratch(desired, context, target);
  if (resource?.phase !== "ready" || planned.action !== "create") return planned;
  return { ...planned, notes: [...planned.notes, "Proxmoor made it before, and it is gone from PVE: made again"] };
}

function nodeHindrance(desired: DesiredGuest, { nodes }: ObservedState): Hindrance | undefined {
  const node = nodes.find((one) => one.name === desired.node);
  if (node?.status === "online") return undefined;
  if (node)
    return {
      reason: `${desired.node} does not answer`,
      remedy: "Run again when the node is back, or declare another node.",
    };
  const names = nodes.map((one) => one.name).sort();
  return {
    reason: `the cluster has no node "${desired.node}"`,
    remedy: `Nodes are ${names.join(", ")}${didYouMean(desired.node, names)}`,
  };
}

function dependencyHindrance({ dependsOn }: DesiredGuest, { isKnown }: GuestContext): Hindrance | undefined {
  const unknown = dependsOn.map(refKey).find((key) => !isKnown(key));
  if (unknown === undefined) return undefined;
  return {
    reason: `it depends on ${unknown}, which is neither declared nor in the cluster`,
    remedy: "Declare it in these manifests, or take it out of dependsOn.",
  };
}

function didYouMean(word: string, words: readonly string[]): string {
  const hint = closest(word, words);
  return hint === undefined ? "." : `; did you mean ${hint}?`;
}

/** Blocked, and there is no guest: the fingerprint says so. */
function notMade(desired: DesiredGuest, at: { vmid?: number; node?: string }, why: Hindrance): Change {
  return { ...blocked(desired, at, why), fingerprint: "absent" };
}

/** Every declared field as a difference from nothing. */
function allNew(desired: DesiredGuest): FieldDiff[] {
  return Object.entries(desired.fields)
    .map(([path, to]): FieldDiff => ({ path, to, effect: "live" }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function startStep(desired: DesiredGuest, target: StepTarget): Step[] {
  return (desired.power ?? "running") === "running" ? [{ op: "start", target }] : [];
}

function planScratch(desired: DesiredGuest, { policy, observed }: GuestContext, target: StepTarget): Change {
  const place = { kind: target.kind, node: target.node, present: {} };
  const hindrance = hindersMaking(desired, policy) ?? storageHindrance(desired.fields, place, observed);
  if (hindrance) return { ...notMade(desired, target, hindrance), fields: allNew(desired) };
  return change(desired, {
    action: "create",
    vmid: target.vmid,
    node: target.node,
    identity: target.identity,
    fields: allNew(desired),
    steps: [createStep(target, desired), ...startStep(desired, target)],
    fingerprint: "absent",
  });
}

function planClone(desired: DesiredGuest, context: GuestContext, target: StepTarget): Change {
  const wanted = desired.from?.template ?? "";
  const template = findTemplate(wanted, context.observed);
  if (!("guest" in template)) return notMade(desired, target, template);
  const source = template.guest;
  const local = source.node === target.node ? undefined : localStorage(source, desired, context.observed);
  if (local !== undefined)
    return notMade(desired, target, {
      reason: `the template ${wanted} is on ${source.node}, and the storage ${local} is not shared: PVE can't clone it to ${target.node}`,
      remedy: `Declare \`node: ${source.node}\`, or keep template and clone on shared storages.`,
    });
  const copy: ObservedGuest = {
    ...source,
    status: "stopped",
    template: false,
    fields: fieldsOfClone(source, desired.from?.storage),
  };
  const diffs = compareFields({ desired, lastApplied: {}, guest: copy, policy: context.policy, isNew: true });
  const hindrance = cloneHindrance(desired, diffs, copy);
  const fields = allNew(desired);
  if (hindrance) return { ...notMade(desired, target, hindrance), fields };
  return change(desired, {
    action: "create",
    vmid: target.vmid,
    node: target.node,
    identity: target.identity,
    fields,
    steps: [cloneStep(target, desired, source), ...cloneSteps(target, diffs), ...startStep(desired, target)],
    notes: [
      `${desired.from?.full === true ? "full" : "linked"} clone of ${source.name ?? wanted} (vmid ${source.vmid})`,
    ],
    fingerprint: "absent",
  });
}

function cloneHindrance(
  desired: DesiredGuest,
  diffs: readonly FieldDiff[],
  copy: ObservedGuest,
): Hindrance | undefined {
  const move = diffs.find(
    (diff) => diff.effect === "stop" && diff.from !== undefined && diff.path.endsWith(".storage"),
  );
  if (move?.to !== undefined)
    return {
      reason: `${move.path} is ${String(move.to)}, and the template has it on ${String(move.from)}`,
      remedy: `Declare \`from: { full: true, storage: ${String(move.to)} }\`, or ${move.path}: ${String(move.from)}.`,
    };
  const hindrance = obstacle(diffs, desired.fields, copy);
  return hindrance && { ...hindrance, reason: `in the clone, ${hindrance.reason}` };
}

function findTemplate(wanted: string, observed: ObservedState): { guest: ObservedGuest } | Hindrance {
  const all = [...observed.summaries.values()].filter((one) => one.kind === "VirtualMachine");
  const byVmid = all.find((one) => String(one.vmid) === wanted);
  const matches = byVmid ? [byVmid] : all.filter((one) => one.name === wanted).sort((a, b) => a.vmid - b.vmid);
  const templates = matches.filter((one) => one.template);
  const found = templates[0] ?? matches[0];
  if (!found) {
    const names = all.filter((one) => one.template).map((one) => one.name ?? String(one.vmid));
    const known = [...new Set(names)].sort();
    return {
      reason: `there is no VM template "${wanted}"`,
      remedy:
        known.length === 0
          ? "Make a template in PVE first."
          : `Templates are ${known.join(", ")}${didYouMean(wanted, known)}`,
    };
  }
  if (templates.length > 1)
    return {
      reason: `several templates are called "${wanted}"`,
      remedy: `Name it by vmid: ${templates.map((one) => one.vmid).join(" or ")}.`,
    };
  if (!found.template)
    return {
      reason: `VM ${found.vmid} "${found.name ?? ""}" is no template`,
      remedy: "Turn it into a template in PVE, or name another one.",
    };
  const sight = observed.sights.get(found.vmid);
  if (sight?.at === "present") return { guest: sight.guest };
  return {
    reason: `the template ${wanted} (vmid ${found.vmid} on ${found.node}) could not be read`,
    remedy: "Run again when its node is back.",
  };
}

/**
 * A storage that keeps a template from being cloned to another node: each that it uses, and the one of the copy, must
 * be shared (BEHAVIOUR section 7); undefined where none does.
 */
function localStorage(guest: ObservedGuest, desired: DesiredGuest, observed: ObservedState): string | undefined {
  const used = Object.entries(guest.fields)
    .filter(([path]) => /^disks\.[a-z0-9]+\.storage$|^cloudInit\.storage$/.test(path))
    .map(([, storage]) => String(storage));
  const all = desired.from?.storage === undefined ? used : [...used, desired.from.storage];
  return all.find((storage) => observed.storages.find((one) => one.id === storage)?.shared !== true);
}
