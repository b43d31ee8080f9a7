import type { DesiredGuest, Fields } from "../desired/types.js";
import { refKey } from "../model/ref.js";
import { formatQuantity } from "../model/quantity.js";
import type { ObservedGuest } from "../observed/types.js";
import type { Disruption, FieldDiff, Step, StepTarget } from "./types.js";

const SIZE = /^((?:disks|mounts)\.([a-z]+\d+)|(rootfs))\.size$/;

/** A size that changes on a disk or mount that is there already: `{ disk: "scsi0" }`. */
function resizeOf(diff: FieldDiff): { disk: string; from: number; to: number } | undefined {
  const match = SIZE.exec(diff.path);
  const disk = match?.[2] ?? match?.[3];
  if (disk === undefined || typeof diff.from !== "number" || typeof diff.to !== "number") return undefined;
  return { disk, from: diff.from, to: diff.to };
}

/** Why the diffs can't be applied to this guest as it is, or undefined. */
export function obstacle(diffs: readonly FieldDiff[]): { reason: string; remedy: string } | undefined {
  for (const diff of diffs) {
    const size = resizeOf(diff);
    if (size && size.to < size.from)
      return {
        reason: `${size.disk} is ${formatQuantity(size.from)} and the manifest says ${formatQuantity(size.to)}: PVE can't shrink a disk`,
        remedy: `Declare ${formatQuantity(size.from)} or more; for a smaller disk add a second one, copy the data and remove the first.`,
      };
    if (diff.effect === "stop")
      return {
        reason: `${diff.path} is ${String(diff.from)} and the manifest says ${String(diff.to)}: Proxmoor does not move volumes yet`,
        remedy: `Declare ${String(diff.from)}, or move the volume in PVE and run again.`,
      };
  }
  return undefined;
}

/** The writes that make the differences go away: one configure, then one resize per grown disk. */
export function updateSteps(target: StepTarget, diffs: readonly FieldDiff[]): Step[] {
  const changes = diffs.filter((diff) => !resizeOf(diff));
  const steps: Step[] = changes.length > 0 ? [{ op: "configure", target, changes }] : [];
  for (const diff of diffs) {
    const size = resizeOf(diff);
    if (size) steps.push({ op: "resize", target, disk: size.disk, size: size.to });
  }
  return steps;
}

/** The first steps of a container or of a VM that no template gives. */
export function createStep(target: StepTarget, desired: DesiredGuest): Step {
  const template = target.kind === "Container" ? desired.from?.template : undefined;
  return { op: "create", target, fields: desired.fields, ...(template !== undefined && { template }) };
}

export function cloneStep(target: StepTarget, desired: DesiredGuest, template: ObservedGuest): Step {
  return {
    op: "clone",
    target,
    source: { vmid: template.vmid, node: template.node, name: template.name ?? String(template.vmid) },
    name: desired.ref.name,
    ...(desired.from?.full !== undefined && { full: desired.from.full }),
    ...(desired.from?.storage !== undefined && { storage: desired.from.storage }),
  };
}

/** What people want to be asked about among the differences of a guest that exists. */
export function disruptionsOf(desired: DesiredGuest, diffs: readonly FieldDiff[], restarts: boolean): Disruption[] {
  const key = refKey(desired.ref);
  const found: Disruption[] = [];
  for (const diff of diffs)
    if (diff.to === undefined && /^(disks|mounts)\.[a-z]+\d+$/.test(diff.path))
      found.push({
        kind: "detach",
        text: `detach ${diff.path.replace(/^.*\./, "")} of ${key} (its volume stays as unused)`,
      });
  const waiting = diffs.filter((diff) => diff.effect === "restart").map((diff) => diff.path);
  if (restarts) found.push({ kind: "restart", text: `restart ${key} (${waiting.join(", ")})` });
  return found;
}

/** What a clone of the template will hold, for planning its first configuration: all but name and MACs. */
export function fieldsOfClone(template: ObservedGuest, storage: string | undefined): Fields {
  const fields: Record<string, Fields[string]> = {};
  for (const [path, value] of Object.entries(template.fields)) {
    if (path === "name" || path.endsWith(".mac") || path === "description") continue;
    fields[path] = storage !== undefined && /^disks\..*\.storage$|^cloudInit\.storage$/.test(path) ? storage : value;
  }
  return fields;
}
