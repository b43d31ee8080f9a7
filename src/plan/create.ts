import type { DesiredGuest } from "../desired/types.js";
import type { ObservedGuest, ObservedState } from "../observed/types.js";
import { compareFields } from "./compare.js";
import { closest } from "./closest.js";
import { blocked, change, type GuestContext } from "./draft.js";
import { cloneStep, createStep, fieldsOfClone, obstacle, updateSteps } from "./steps.js";
import type { Change, FieldDiff, Resource, Step, StepTarget } from "./types.js";

/** A guest that has to be made; `resource` where the inventory knows it and it is gone. */
export function planCreate(desired: DesiredGuest, context: GuestContext, resource: Resource | undefined): Change {
  const nodes = context.observed.nodes;
  const node = nodes.find((one) => one.name === desired.node);
  if (node?.status !== "online") {
    const hint = closest(
      desired.node,
      nodes.map((one) => one.name),
    );
    return blocked(
      desired,
      { node: desired.node },
      node
        ? {
            reason: `${desired.node} does not answer`,
            remedy: "Run again when the node is back, or declare another node.",
          }
        : {
            reason: `the cluster has no node "${desired.node}"`,
            remedy: `Nodes are ${nodes.map((one) => one.name).join(", ")}${hint === undefined ? "" : `; did you mean ${hint}`}.`,
          },
    );
  }
  const vmid = resource?.vmid ?? desired.vmid ?? context.nextVmid();
  if (vmid === undefined)
    return blocked(
      desired,
      {},
      { reason: "every vmid of the range is used, reserved or in quarantine", remedy: "Widen --vmid-range." },
    );
  if (desired.ref.kind === "Container" && desired.from === undefined)
    return blocked(
      desired,
      { vmid, node: desired.node },
      {
        reason: "a container is made from an OS template and the manifest names none",
        remedy: "Declare `from: { template: STORAGE:vztmpl/FILE }`.",
      },
    );
  const identity = resource?.identity ?? context.policy.newIdentity(desired.ref);
  const target: StepTarget = { kind: desired.ref.kind, vmid, node: desired.node, identity };
  const clones = desired.ref.kind === "VirtualMachine" && desired.from !== undefined;
  return clones ? planClone(desired, context, target) : planScratch(desired, target);
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

function planScratch(desired: DesiredGuest, target: StepTarget): Change {
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
  if (!("guest" in template)) return blocked(desired, target, template);
  const source = template.guest;
  if (source.node !== target.node && desired.from?.storage === undefined && !isShared(source, context.observed))
    return blocked(desired, target, {
      reason: `the template ${wanted} is on ${source.node} with disks on a storage that is not shared: PVE can't clone it to ${target.node}`,
      remedy: `Declare \`node: ${source.node}\`, or keep the template on a shared storage.`,
    });
  const copy: ObservedGuest = {
    ...source,
    status: "stopped",
    template: false,
    fields: fieldsOfClone(source, desired.from?.storage),
  };
  const diffs = compareFields({ desired, lastApplied: {}, guest: copy, policy: context.policy });
  const hindrance = obstacle(diffs);
  const fields = allNew(desired);
  if (hindrance)
    return { ...blocked(desired, target, { ...hindrance, reason: `of the clone, ${hindrance.reason}` }), fields };
  return change(desired, {
    action: "create",
    vmid: target.vmid,
    node: target.node,
    identity: target.identity,
    fields,
    steps: [cloneStep(target, desired, source), ...configureFirst(target, diffs), ...startStep(desired, target)],
    notes: [
      `${desired.from?.full === true ? "full" : "linked"} clone of ${source.name ?? wanted} (vmid ${source.vmid})`,
    ],
    fingerprint: "absent",
  });
}

/** A clone is always configured once, differences or not: that gives it its identity. */
function configureFirst(target: StepTarget, diffs: readonly FieldDiff[]): Step[] {
  const steps = updateSteps(target, diffs);
  return steps[0]?.op === "configure" ? steps : [{ op: "configure", target, changes: [] }, ...steps];
}

function findTemplate(
  wanted: string,
  observed: ObservedState,
): { guest: ObservedGuest } | { reason: string; remedy: string } {
  const all = [...observed.summaries.values()].filter((one) => one.kind === "VirtualMachine");
  const matches = all.filter((one) => one.name === wanted || String(one.vmid) === wanted);
  const found = matches.find((one) => one.template) ?? matches[0];
  if (!found) {
    const names = all.filter((one) => one.template).map((one) => one.name ?? String(one.vmid));
    const hint = closest(wanted, names);
    return {
      reason: `there is no VM template "${wanted}"`,
      remedy:
        names.length === 0
          ? "Make a template in PVE first."
          : `Templates are ${names.sort().join(", ")}${hint === undefined ? "" : `; did you mean ${hint}`}.`,
    };
  }
  if (matches.filter((one) => one.template).length > 1)
    return {
      reason: `several templates are called "${wanted}"`,
      remedy: `Name it by vmid: ${matches.map((one) => one.vmid).join(", ")}.`,
    };
  if (!found.template)
    return {
      reason: `VM ${found.vmid} "${found.name ?? ""}" is no template`,
      remedy: "Turn it into a template in PVE, or name another one.",
    };
  const sight = observed.sights.get(found.vmid);
  if (sight?.at === "present") return { guest: sight.guest };
  return { reason: `the template ${wanted} could not be read`, remedy: "Run again when its node is back." };
}

function isShared(guest: ObservedGuest, observed: ObservedState): boolean {
  const used = Object.entries(guest.fields).filter(([path]) =>
    /^disks\.[a-z0-9]+\.storage$|^cloudInit\.storage$/.test(path),
  );
  return used.every(([, storage]) => observed.storages.find((one) => one.id === storage)?.shared === true);
}
