import type { DesiredGuest, Fields } from "../desired/types.js";
import { refKey } from "../model/ref.js";
import { formatQuantity } from "../model/quantity.js";
import type { ObservedGuest } from "../observed/types.js";
import { deviceOf, hasDevice } from "./compare.js";
import type { Hindrance } from "./draft.js";
import { formatValue } from "./format.js";
import { rootOnly } from "./root-only.js";
import type { Disruption, FieldDiff, PlanPolicy, Step, StepTarget } from "./types.js";

const SIZE = /^((?:disks|mounts)\.([a-z]+\d+)|(rootfs))\.size$/;

/** A size that changes on a disk or mount that is there already: `{ disk: "scsi0" }`. */
function resizeOf(diff: FieldDiff): { disk: string; from: number; to: number } | undefined {
  const match = SIZE.exec(diff.path);
  const disk = match?.[2] ?? match?.[3];
  if (disk === undefined || typeof diff.from !== "number" || typeof diff.to !== "number") return undefined;
  return { disk, from: diff.from, to: diff.to };
}

/** The guest (or what the clone will be) that differences are to be applied to; nothing for one that is made anew. */
type Base = Pick<ObservedGuest, "fields" | "config" | "pending">;

/** Why the diffs can't be applied to this guest as it is, or undefined. */
export function obstacle(diffs: readonly FieldDiff[], desired: Fields, base: Base): Hindrance | undefined {
  for (const diff of diffs) {
    const found =
      shrinks(diff) ??
      growsWhileWaiting(diff, base) ??
      moves(diff) ??
      lacksVolume(diff, desired, base) ??
      takesSlot(diff, base) ??
      isKept(diff, base);
    if (found) return found;
  }
  return undefined;
}

/** True for a size that gets smaller. */
export function isShrink(diff: FieldDiff): boolean {
  const size = resizeOf(diff);
  return size !== undefined && size.to < size.from;
}

function shrinks(diff: FieldDiff): Hindrance | undefined {
  const size = resizeOf(diff);
  if (!size || !isShrink(diff)) return undefined;
  const [from, to] = [formatQuantity(size.from), formatQuantity(size.to)];
  return {
    reason: `${size.disk} is ${from} and the manifest says ${to}: PVE can't shrink a disk`,
    remedy: `Declare ${from} or more; for a smaller disk add a second one, copy the data and remove the first.`,
  };
}

/** The value that waits for the restart has the old size in it, and would bring it back. */
function growsWhileWaiting(diff: FieldDiff, { pending }: Base): Hindrance | undefined {
  const size = resizeOf(diff);
  if (!size || pending[size.disk] === undefined) return undefined;
  return {
    reason: `${size.disk} is to grow and has changes that wait for a restart of the guest`,
    remedy: "Restart the guest, then run again.",
  };
}

function moves({ path, from, to, effect }: FieldDiff): Hindrance | undefined {
  if (effect !== "stop" || to === undefined) return undefined;
  const wanted = formatValue(path, to);
  if (from === undefined)
    return {
      reason: `${path} is declared as ${wanted}, and what the guest has there is no volume of a storage`,
      remedy: "Take the declaration out, or give the new disk another slot.",
    };
  const has = formatValue(path, from);
  return {
    reason: `${path} is ${has} and the manifest says ${wanted}: Proxmoor does not move volumes yet`,
    remedy: `Declare ${has}, or move the volume in PVE and run again.`,
  };
}

/** A new disk or mount needs a storage and a size; a size alone needs a disk that has one. */
function lacksVolume({ path, from, to }: FieldDiff, desired: Fields, base: Base): Hindrance | undefined {
  const device = deviceOf(path);
  if (device === undefined || device.startsWith("networks.") || to === undefined) return undefined;
  const slot = device.replace(/^.*\./, "");
  if (hasDevice(base.fields, device))
    return path.endsWith(".size") && from === undefined
      ? {
          reason: `${path} is declared, and PVE tells no size of ${slot}`,
          remedy: `Take ${path} out of the manifest.`,
        }
      : undefined;
  if (desired[`${device}.source`] !== undefined) return undefined;
  const missing = ["storage", "size"].filter((field) => desired[`${device}.${field}`] === undefined);
  if (missing.length === 0) return undefined;
  return {
    reason: `there is no ${slot} yet, and the manifest gives no ${missing.join(" and no ")} for it`,
    remedy: `Declare ${missing.map((field) => `${device}.${field}`).join(" and ")}, or another slot.`,
  };
}

/** A slot holds one thing: a disk, a CD drive or the cloud-init drive. */
function takesSlot({ path, from, to }: FieldDiff, base: Base): Hindrance | undefined {
  const slot = /^(?:extraConfig|disks)\.((?:scsi|virtio|sata|ide)\d+)(?:\.|$)/.exec(path)?.[1];
  if (slot === undefined || from !== undefined || to === undefined || base.config[slot] === undefined) return undefined;
  if (path.startsWith("disks.") && hasDevice(base.fields, `disks.${slot}`)) return undefined;
  return {
    reason: `the slot ${slot} is taken by ${base.config[slot]}`,
    remedy: "Declare another slot.",
  };
}

/**
 * The writes that make the differences go away: one resize per grown disk, then one configure. In this order, since a
 * disk option that waits for a restart waits as the whole value, size included: the old size would come back with it.
 */
export function updateSteps(target: StepTarget, diffs: readonly FieldDiff[]): Step[] {
  const changes = diffs.filter((diff) => !resizeOf(diff));
  const configure: Step[] = changes.length > 0 ? [{ op: "configure", target, changes }] : [];
  return [...resizeSteps(target, diffs), ...configure];
}

/** The first steps of a clone. It is always configured, differences or not: that gives it its identity. */
export function cloneSteps(target: StepTarget, diffs: readonly FieldDiff[]): Step[] {
  const changes = diffs.filter((diff) => !resizeOf(diff));
  return [{ op: "configure", target, changes }, ...resizeSteps(target, diffs)];
}

function resizeSteps(target: StepTarget, diffs: readonly FieldDiff[]): Step[] {
  return diffs.flatMap((diff): Step[] => {
    const size = resizeOf(diff);
    return size ? [{ op: "resize", target, disk: size.disk, size: size.to }] : [];
  });
}

const DETACHED = /^(disks|mounts)\.[a-z]+\d+$/;

/** PVE takes no disk from a protected guest [qemudelete/protected.delete-disk]. */
function isKept({ path, to }: FieldDiff, { config }: Base): Hindrance | undefined {
  if (to !== undefined || !DETACHED.test(path) || config["protection"] !== "1") return undefined;
  return {
    reason: `${path.replace(/^.*\./, "")} can't be detached: the guest is protected in PVE (protection: 1)`,
    remedy: "Take the protection away first, or declare it again.",
  };
}

/** Why a guest can't be made from its manifest alone, or undefined. */
export function hindersMaking(desired: DesiredGuest, policy: Pick<PlanPolicy, "isRoot">): Hindrance | undefined {
  if (desired.ref.kind === "Container") {
    if (desired.from === undefined)
      return {
        reason: "a container is made from an OS template and the manifest names none",
        remedy: "Declare `from: { template: STORAGE:vztmpl/FILE }`.",
      };
    if (desired.fields["rootfs.storage"] === undefined || desired.fields["rootfs.size"] === undefined)
      return {
        reason: "a container is made with a root file system and the manifest declares none",
        remedy: "Declare `rootfs: { storage: STORAGE, size: SIZE }`.",
      };
  }
  const diffs = Object.entries(desired.fields).map(([path, to]): FieldDiff => ({ path, to, effect: "live" }));
  const refused = policy.isRoot === false ? rootOnly(diffs, desired.fields) : undefined;
  return refused ?? obstacle(diffs, desired.fields, { fields: {}, config: {}, pending: {} });
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

/** What people want to be asked about among the differences of a guest that exists; `restart` says why it restarts. */
export function disruptionsOf(
  desired: DesiredGuest,
  diffs: readonly FieldDiff[],
  restart: string | undefined,
): Disruption[] {
  const key = refKey(desired.ref);
  const found: Disruption[] = [];
  for (const diff of diffs)
    if (diff.to === undefined && DETACHED.test(diff.path))
      found.push({
        kind: "detach",
        text: `detach ${diff.path.replace(/^.*\./, "")} of ${key} (its volume stays as unused)`,
      });
  const isAllowed = desired.lifecycle.restart === "allow";
  if (restart !== undefined)
    found.push({ kind: "restart", text: `restart ${key} (${restart})`, ...(isAllowed && { isAllowed }) });
  return found;
}

/** What a clone of the template will hold, for planning its first configuration: all but name and MACs. */
export function fieldsOfClone(template: ObservedGuest, storage: string | undefined): Fields {
  const fields: Record<string, Fields[string]> = {};
  for (const [path, value] of Object.entries(template.fields)) {
    if (path === "name" || path.endsWith(".mac") || path === "description") continue;
    // on another storage the format is what that storage has
    if (storage !== undefined && /^disks\..*\.format$/.test(path)) continue;
    fields[path] = storage !== undefined && /^disks\..*\.storage$|^cloudInit\.storage$/.test(path) ? storage : value;
  }
  return fields;
}
