import { messageOf, ProxmoorError } from "../model/errors.js";
import type { ClusterReader, GuestSummary, ObservedState, Sight } from "./types.js";

/** What one look covers. */
export interface ObserveOptions {
  /** When the look begins, UTC milliseconds. */
  readonly now: number;
  /** Which listed guests have their configuration read; all by default. */
  readonly reads?: (guest: GuestSummary) => boolean;
  /** vmids that get a sight even when no list has them, with the node they were last seen on. */
  readonly known?: ReadonlyMap<number, string>;
  /** Config reads under way at once; 16 by default: PVE answers no faster beyond (FACTS, Transport). */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
}

const LOST_NODE = "the node is not in the cluster's list, and another one does not answer";

/**
 * One look at the cluster: lists first, then one config read per guest. A guest whose node does not answer is
 * `unreadable`, never `absent`; so is one that no list has while the node it was on is silent.
 */
export async function observeCluster(reader: ClusterReader, options: ObserveOptions): Promise<ObservedState> {
  const overview = await reader.overview(options.signal);
  const silent = new Map(overview.silent);
  for (const node of overview.nodes)
    if (node.status !== "online" && !silent.has(node.name)) silent.set(node.name, `the node is ${node.status}`);
  const summaries = new Map(overview.guests.map((guest) => [guest.vmid, guest]));
  const sights = new Map<number, Sight>();
  const wanted = overview.guests.filter((guest) => options.reads?.(guest) ?? true);
  const readable = wanted.filter((guest) => !silent.has(guest.node));
  for (const guest of wanted) {
    const reason = silent.get(guest.node);
    if (reason !== undefined) sights.set(guest.vmid, { at: "unreadable", node: guest.node, reason });
  }
  await eachWithLimit(readable, options.concurrency ?? 16, async (guest) => {
    sights.set(guest.vmid, await readGuest(reader, guest, options.signal));
  });
  const listed = new Set(overview.nodes.map((node) => node.name));
  for (const [vmid, node] of options.known ?? []) {
    if (summaries.has(vmid)) continue;
    const isLost = silent.size > 0 && !listed.has(node);
    const reason = silent.get(node) ?? (isLost ? LOST_NODE : undefined);
    if (reason !== undefined) sights.set(vmid, { at: "unreadable", node, reason });
    else if (listed.has(node)) sights.set(vmid, await confirmAbsence(reader, { vmid, node }, options.signal));
    else sights.set(vmid, { at: "absent" });
  }
  return {
    takenAt: options.now,
    nodes: overview.nodes,
    storages: overview.storages,
    summaries,
    sights,
    complete: silent.size === 0,
  };
}

/**
 * One guest of a list with its configuration. Every error of PVE makes it unreadable, "does not exist" too: a listed
 * guest whose config is gone was moved or removed this second. An abort ends the whole look.
 */
export async function readGuest(reader: ClusterReader, summary: GuestSummary, signal?: AbortSignal): Promise<Sight> {
  signal?.throwIfAborted();
  try {
    const raw = await reader.guestConfig(summary, signal);
    return { at: "present", guest: { ...summary, ...raw, ...reader.decode(summary.kind, raw) } };
  } catch (error) {
    signal?.throwIfAborted();
    return { at: "unreadable", node: summary.node, reason: messageOf(error) };
  }
}

/**
 * A guest that was there and that no list has: PVE leaves out of its lists what the log-in may not see (BEHAVIOUR 2), so
 * that only its own "does not exist" makes it absent. Asked for as a VM: the privilege is the same for both kinds, and
 * comes before the question whether there is such a guest.
 */
async function confirmAbsence(
  reader: ClusterReader,
  { vmid, node }: { vmid: number; node: string },
  signal: AbortSignal | undefined,
): Promise<Sight> {
  signal?.throwIfAborted();
  try {
    await reader.guestConfig({ kind: "VirtualMachine", vmid, node }, signal);
    return { at: "unreadable", node, reason: "no list has it, but it can be read: it was made or moved this moment" };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ProxmoorError && error.code === "PVE_NOT_FOUND") return { at: "absent" };
    return { at: "unreadable", node, reason: messageOf(error) };
  }
}

function* each<T>(items: readonly T[]): Generator<T> {
  yield* items;
}

/** Runs `work` over all items, at most `limit` at once; the first error stops new ones and is thrown. */
async function eachWithLimit<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  // an error ends the iteration for all workers: the iterator of a generator closes, that of an array would not
  const queue = each(items);
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
