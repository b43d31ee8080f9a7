import { NAME_FIELD, type DesiredGuest } from "../desired/types.js";
import { assertNever } from "../model/assert-never.js";
import { refKey } from "../model/ref.js";
import type { ObservedGuest } from "../observed/types.js";
import { planUnknown } from "./adopt.js";
import { planCreate } from "./create.js";
import { blocked, describeGuest, sightOf, unreadable, type GuestContext } from "./draft.js";
import type { Change, Resource } from "./types.js";
import { planUpdate } from "./update.js";

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
      return blocked(desired, at, unreadable(sight));
    case "absent":
      return planCreate(desired, context, resource);
    case "present":
      return planPresent(desired, resource, { guest: sight.guest, context });
    default:
      return assertNever(sight);
  }
}

function planPresent(
  desired: DesiredGuest,
  resource: Resource,
  seen: { guest: ObservedGuest; context: GuestContext },
): Change {
  const { guest, context } = seen;
  if (!guest.identities.includes(resource.identity) || guest.kind !== resource.ref.kind) {
    // nothing of ours was ever made under this vmid: another one may be taken. One of our kind and name is most likely
    // ours, half made, whose marker somebody has overwritten: a second one would be a double
    const isNamesake = guest.kind === resource.ref.kind && guest.name === desired.fields[NAME_FIELD[guest.kind]];
    if (resource.phase === "creating" && desired.vmid === undefined && !isNamesake)
      return planCreate(desired, context, undefined);
    const forget = `\`proxmoor delete ${refKey(desired.ref)} --forget\``;
    return blocked(desired, guest, {
      reason: `vmid ${resource.vmid} now belongs to another guest: ${describeGuest(guest)}; ours had identity ${resource.identity}${guest.identities.length === 0 ? " (was Proxmoor's line taken out of its description?)" : ""}`,
      remedy: `Forget ours with ${forget}; after that it is made anew under another vmid, or the other guest is adopted with --adopt.`,
    });
  }
  return planUpdate({ desired, resource, guest, policy: context.policy });
}
