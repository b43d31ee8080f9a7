import { ProxmoorError } from "../../src/model/errors.js";
import type {
  ClusterReader,
  GuestStatus,
  GuestSummary,
  ObservedNode,
  ObservedStorage,
} from "../../src/observed/types.js";
import { observeCluster, readGuest } from "../../src/observed/observe.js";
import type { ObservedGuest, ObservedState } from "../../src/observed/types.js";
import type { Kind } from "../../src/model/ref.js";
import { decode } from "../../src/pve/codec/decode.js";

/** A guest as PVE has it: what counts now, and what waits for the next start. */
export interface ModelGuest {
  readonly kind: Kind;
  readonly vmid: number;
  readonly node: string;
  readonly status: GuestStatus;
  readonly template: boolean;
  readonly current: Readonly<Record<string, string>>;
  readonly pending: Readonly<Record<string, string | null>>;
  readonly lock?: string;
  /** Why its configuration can't be read. */
  readonly unreadable?: string;
}

/** A cluster in memory. Never changed: applying a step gives another one. */
export interface ModelCluster {
  readonly nodes: readonly ObservedNode[];
  readonly storages: readonly ObservedStorage[];
  readonly guests: ReadonlyMap<number, ModelGuest>;
}

/** What the next start will use, as `GET config` shows it. */
export function mergedConfig(guest: ModelGuest): Record<string, string> {
  const merged: Record<string, string> = { ...guest.current };
  for (const [key, value] of Object.entries(guest.pending)) {
    if (value === null) delete merged[key];
    else merged[key] = value;
  }
  return merged;
}

function summaryOf(guest: ModelGuest): GuestSummary {
  const { kind, vmid, node, status, template, lock } = guest;
  const name = guest.current[kind === "VirtualMachine" ? "name" : "hostname"];
  return {
    ...{ kind, vmid, node, status, template, tags: [] },
    ...(name !== undefined && { name }),
    ...(lock !== undefined && { lock }),
  };
}

/** Reads a model the way src/pve reads a cluster: src/pve's own decoding, nothing else of it. */
export function readerOf(cluster: ModelCluster): ClusterReader {
  const silent = cluster.nodes.filter((node) => node.status !== "online");
  return {
    overview: async () => ({
      nodes: cluster.nodes,
      storages: cluster.storages,
      guests: [...cluster.guests.values()].map(summaryOf),
      silent: new Map(silent.map((node) => [node.name, `the node is ${node.status}`])),
    }),
    guestConfig: async ({ vmid }) => {
      const guest = cluster.guests.get(vmid);
      if (!guest) throw new ProxmoorError("PVE_NOT_FOUND", `Configuration file '${vmid}.conf' does not exist`);
      if (guest.unreadable !== undefined) throw new Error(guest.unreadable);
      const digest = JSON.stringify([guest.current, guest.pending]);
      return { config: mergedConfig(guest), pending: guest.pending, digest };
    },
    decode,
    guestStatus: async ({ vmid }) => cluster.guests.get(vmid)?.status ?? "unknown",
  };
}

/** One look at the model. */
export function observeModel(cluster: ModelCluster, known: ReadonlyMap<number, string>): Promise<ObservedState> {
  return observeCluster(readerOf(cluster), { now: 0, known });
}

/** One guest as the planner and the codecs see it; undefined where there is none. */
export async function lookAt(cluster: ModelCluster, vmid: number): Promise<ObservedGuest | undefined> {
  const guest = cluster.guests.get(vmid);
  if (!guest) return undefined;
  const sight = await readGuest(readerOf(cluster), summaryOf(guest));
  return sight.at === "present" ? sight.guest : undefined;
}
