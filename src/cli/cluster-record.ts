import type { ContainerRecord, NodeRecord, StorageRecord, VmRecord } from "../history/types.js";
import type { GuestSummary, ObservedState, RawConfig } from "../observed/types.js";
import type { ClusterRecord } from "../simulator/index.js";
import type { Store } from "../store/index.js";

type Guest = ClusterRecord["guests"][number];
type Storage = ClusterRecord["storages"][number];

/** The cluster as the database last saw it, for a simulator. */
export async function recordOfStore(state: Store["state"]): Promise<ClusterRecord> {
  const [nodes, storages, vms, containers] = await Promise.all([
    state.nodes(),
    state.storages(),
    state.vms(),
    state.containers(),
  ]);
  return {
    nodes: nodes.map(nodeOf),
    storages: storages.map(storageOf),
    guests: [...vms.map((row) => guestOf("qemu", row)), ...containers.map((row) => guestOf("lxc", row))],
  };
}

function nodeOf({ id, status, cpuMax, memoryMax, uptime }: NodeRecord): ClusterRecord["nodes"][number] {
  return {
    name: id,
    online: status === "online",
    ...(cpuMax !== undefined && { cpus: cpuMax }),
    ...(memoryMax !== undefined && { memory: Number(memoryMax) }),
    ...(uptime !== undefined && { uptime }),
  };
}

/** The row of a local storage has the sum over its nodes. */
function storageOf(row: StorageRecord): Storage {
  const { id, type, contentTypes, enabled, shared, path, nodes, totalBytes, usedBytes } = row;
  const share = (sum: bigint) => Number(sum) / (shared ? 1 : Math.max(1, nodes.length));
  const figures = {
    ...(totalBytes !== undefined && { total: share(totalBytes) }),
    ...(usedBytes !== undefined && { used: share(usedBytes) }),
  };
  return {
    id,
    type,
    enabled,
    shared,
    content: contentTypes,
    ...(path !== undefined && { path }),
    nodes: nodes.map((node) => ({ node, ...figures })),
  };
}

function guestOf(kind: Guest["kind"], row: VmRecord | ContainerRecord): Guest {
  const { id, nodeId, name, status, template, config, pending, lockStatus, pool, haManaged } = row;
  return {
    kind,
    vmid: id,
    node: nodeId,
    template,
    status: status === "suspended" ? "paused" : status === "running" ? "running" : "stopped",
    ...(name !== undefined && { name }),
    ...(config !== undefined && configOf({ config, pending: pending ?? {} })),
    ...(lockStatus !== undefined && { lock: lockStatus }),
    ...(pool !== undefined && { pool }),
    ...(haManaged && { haState: status === "running" ? "started" : "stopped" }),
    ...(row.uptime !== undefined && { uptime: row.uptime }),
    ...(row.cpuCores !== undefined && { cpus: row.cpuCores }),
    ...(row.memoryBytes !== undefined && { memory: Number(row.memoryBytes) }),
  };
}

/** PVE's config has what waits merged in; the value in force of such a key is known from a fresh look only. */
function configOf(raw: Pick<RawConfig, "config" | "pending" | "current">): Pick<Guest, "config" | "pending"> {
  const waiting = new Set(Object.keys(raw.pending));
  const settled = Object.entries(raw.config).filter(([key]) => !waiting.has(key));
  return { config: { ...Object.fromEntries(settled), ...raw.current }, pending: raw.pending };
}

/** The cluster as one look saw it. */
export function recordOfLook({ nodes, storages, summaries, sights }: ObservedState): ClusterRecord {
  return {
    nodes: nodes.map(({ name, status, cpus, memory, uptime }) => ({
      name,
      online: status === "online",
      ...(cpus !== undefined && { cpus }),
      ...(memory !== undefined && { memory }),
      ...(uptime !== undefined && { uptime }),
    })),
    storages: storages.map((seen) => ({
      ...seen,
      nodes: seen.nodes.map(({ node, total, used }) => ({ node, ...(total > 0 && { total, used }) })),
    })),
    guests: [...summaries.values()].map((summary) => {
      const sight = sights.get(summary.vmid);
      return seenGuest(summary, sight?.at === "present" ? sight.guest : undefined);
    }),
  };
}

function seenGuest(seen: GuestSummary, raw: RawConfig | undefined): Guest {
  const { name, lock, pool, haState, uptime, cpus, memory } = seen;
  return {
    kind: seen.kind === "VirtualMachine" ? "qemu" : "lxc",
    vmid: seen.vmid,
    node: seen.node,
    template: seen.template,
    status: seen.status === "unknown" ? "stopped" : seen.status,
    ...(raw && configOf(raw)),
    ...(name !== undefined && { name }),
    ...(lock !== undefined && { lock }),
    ...(pool !== undefined && { pool }),
    ...(haState !== undefined && { haState }),
    ...(uptime !== undefined && { uptime }),
    ...(cpus !== undefined && { cpus }),
    ...(memory !== undefined && { memory }),
  };
}
