import { ProxmoorError } from "../model/errors.js";
import type { DesiredGuest, Fields } from "../desired/types.js";
import { appliedFields } from "./applied.js";
import { restartFindings, withFindings } from "./conditions.js";
import type { Change, Resource } from "../plan/types.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";

/** A change whose vmid and inventory entry are ours; `draft` is absent where nothing of ours is left to note. */
export interface Reserved {
  readonly change: Change;
  readonly draft: Resource | undefined;
}

interface ReserveContext {
  readonly ports: ApplyPorts;
  readonly options: ApplyOptions;
}

/** As many guests may be made at once; each round at least one of them gets its vmid. */
const VMID_TRIES = 50;

/**
 * Writes the inventory entry before the first request. A vmid that nobody declared and that another run took first is
 * replaced by the next free one: `confirm` plans again. Gives undefined where nothing is left to do.
 */
export async function reserve(
  confirm: () => Promise<Change | undefined>,
  { ports, options }: ReserveContext,
): Promise<Reserved | undefined> {
  for (let tries = 1; ; tries++) {
    const change = await confirm();
    if (change === undefined) return undefined;
    const draft = draftFor(change, await ports.resources.find(change.ref), options);
    try {
      // an adopted guest is ours once it carries our identity, not before
      if (draft && change.action !== "adopt") await ports.resources.save(draft);
      return { change, draft };
    } catch (error) {
      const isTaken = error instanceof ProxmoorError && error.code === "DB_DUPLICATE";
      const isFree = change.action === "create" && change.desired?.vmid === undefined;
      if (!isTaken || !isFree || tries >= VMID_TRIES) throw error;
    }
  }
}

function draftFor(change: Change, before: Resource | undefined, options: ApplyOptions): Resource | undefined {
  if (change.action === "delete") return before && { ...before, phase: "deleting" };
  const { desired } = change;
  if (!desired || change.vmid === undefined || change.node === undefined || change.identity === undefined)
    return undefined;
  return {
    ref: change.ref,
    vmid: change.vmid,
    node: change.node,
    // of a replacement the old guest keeps its identity until it is gone
    identity: change.action === "replace" && before ? before.identity : change.identity,
    phase: change.action === "create" ? "creating" : (before?.phase ?? "ready"),
    // a run that is cut off has perhaps applied some of the new fields: until it is whole, both count as ours
    lastApplied: { ...before?.lastApplied, ...appliedFields(desired) },
    labels: desired.labels,
    source: options.sourceOf(desired.place),
    prune: desired.lifecycle.prune,
    generation: (before?.generation ?? 0) + (before && isSameDesire(before, desired) ? 0 : 1),
    observedGeneration: before?.observedGeneration ?? 0,
    conditions: before?.conditions ?? [],
  };
}

/** What was applied last is declared still: the guest was changed by somebody else. */
function isSameDesire(before: Resource, desired: DesiredGuest): boolean {
  const sorted = (fields: Fields) => JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
  return sorted(before.lastApplied) === sorted(appliedFields(desired));
}

/** After the last step: the inventory's final entry. Gives the fields that wait for a restart. */
export async function settle(
  { change, draft }: Reserved,
  { ports, options }: ReserveContext,
): Promise<readonly string[]> {
  if (change.action === "delete") {
    await ports.resources.remove(change.ref, ports.clock.now() + options.quarantine);
    return [];
  }
  if (!draft || !change.desired) return [];
  // all is done: a guest that can't be read now does not make it undone
  const sight = await ports.sender
    .look({ kind: change.ref.kind, vmid: draft.vmid, node: draft.node }, options.signal)
    .catch(() => undefined);
  const pending = sight?.at === "present" ? sight.guest.pendingFields : [];
  const settled: Resource = {
    ...draft,
    identity: change.identity ?? draft.identity,
    phase: "ready",
    lastApplied: appliedFields(change.desired),
    observedGeneration: draft.generation,
  };
  await ports.resources.save(withFindings(settled, restartFindings(pending), ports.clock.now()));
  return pending;
}
