import { NAME_FIELD, type DesiredGuest } from "../desired/types.js";
import { refKey } from "../model/ref.js";
import type { GuestSummary, ObservedGuest } from "../observed/types.js";
import { planCreate } from "./create.js";
import { blocked, change, describeGuest, sightOf, unreadable, type GuestContext } from "./draft.js";
import type { Change } from "./types.js";
import { planUpdate } from "./update.js";

/** Declared, but not in the inventory: to be made, unless a guest of that name or vmid exists. */
export function planUnknown(desired: DesiredGuest, context: GuestContext): Change {
  const namesakes = namesakesOf(desired, context);
  const candidate = desired.vmid !== undefined ? context.observed.summaries.get(desired.vmid) : namesakes[0];
  if (candidate && (desired.vmid !== undefined || namesakes.length === 1))
    return planAdoption(desired, candidate, context);
  if (namesakes.length === 0) return planCreate(desired, context, undefined);
  return blocked(
    desired,
    {},
    {
      reason: `guests of this name exist already: ${namesakes.map((one) => `vmid ${one.vmid} on ${one.node}`).join(", ")}`,
      remedy: "Choose another name, or declare the vmid of the one you mean and adopt it (--adopt).",
    },
  );
}

/** Guests with the name in PVE that this one will have, by vmid; those of the inventory are other objects. */
function namesakesOf(desired: DesiredGuest, { observed, byName, byVmid }: GuestContext): GuestSummary[] {
  const { kind, name } = desired.ref;
  const found = byName.get(refKey({ kind, name: String(desired.fields[NAME_FIELD[kind]] ?? name) })) ?? [];
  const isForeign = ({ vmid }: GuestSummary) => {
    const owner = byVmid.get(vmid);
    const sight = observed.sights.get(vmid);
    return owner === undefined || (sight?.at === "present" && !sight.guest.identities.includes(owner.identity));
  };
  return found.filter(isForeign).sort((a, b) => a.vmid - b.vmid);
}

function planAdoption(desired: DesiredGuest, candidate: GuestSummary, context: GuestContext): Change {
  const owner = context.byVmid.get(candidate.vmid);
  const sight = sightOf(context.observed, candidate.vmid, candidate.node);
  if (sight.at === "unreadable") return blocked(desired, candidate, unreadable(sight));
  if (owner || sight.at !== "present")
    return blocked(desired, candidate, {
      reason: `vmid ${candidate.vmid} is that of ${owner ? refKey(owner.ref) : "a guest that was just removed"}`,
      remedy: "Declare another vmid, or none.",
    });
  const { guest } = sight;
  if (guest.kind !== desired.ref.kind)
    return blocked(desired, candidate, {
      reason: `vmid ${guest.vmid} is taken by ${describeGuest(guest)}`,
      remedy: "Declare another vmid, or none.",
    });
  // --adopt is about guests of the same name; a stranger under the declared vmid is taken over by its own manifest only
  const hasName = guest.name === desired.fields[NAME_FIELD[guest.kind]];
  if (!desired.adopt && !(context.policy.adopt && hasName)) return blocked(desired, candidate, consent(guest, hasName));
  return adopt(desired, guest, context);
}

function consent(guest: ObservedGuest, hasName: boolean): { reason: string; remedy: string } {
  const annotation = 'the annotation `proxmoor.dev/adopt: "true"`';
  return hasName
    ? {
        reason: `it exists already and Proxmoor did not make it: ${describeGuest(guest)}`,
        remedy: `Adopt it with --adopt or ${annotation}, or choose another name.`,
      }
    : {
        reason: `vmid ${guest.vmid} is taken by a guest that Proxmoor did not make: ${describeGuest(guest)}`,
        remedy: `Declare another vmid, or none; if this guest is meant and is to be renamed, say so with ${annotation}.`,
      };
}

function adopt(desired: DesiredGuest, guest: ObservedGuest, context: GuestContext): Change {
  const known = guest.identities[0];
  const identity = known ?? context.policy.newIdentity(desired.ref);
  const planned = planUpdate({
    desired,
    resource: { identity, lastApplied: {}, phase: "ready" },
    guest,
    policy: context.policy,
    adopting: true,
  });
  if (planned.action !== "adopt") return planned;
  const marked =
    guest.kind === "Container" ? "its description" : "its smbios1 (the guest sees it after its next start)";
  const note =
    known === undefined
      ? `Proxmoor's identity is written into ${marked}`
      : planned.steps.length === 0
        ? "nothing of it changes"
        : undefined;
  return note === undefined ? planned : change(desired, { ...planned, notes: [...planned.notes, note] });
}
