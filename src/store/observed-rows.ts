import type { ContainerRecord, NodeRecord, StorageRecord, VmRecord } from "../history/types.js";
import type { GuestStatus, GuestSummary, ObservedNode, ObservedStorage, RawConfig } from "../observed/types.js";
import type { NodeStorageRow } from "./entities/cluster.js";

/** A guest as seen: always its summary, its configuration where that was read. */
export type SeenGuest = GuestSummary & Partial<RawConfig> & { readonly identities?: readonly string[] };

const STATUS: Record<GuestStatus, VmRecord["status"] | undefined> = {
  running: "running",
  stopped: "stopped",
  paused: "suspended",
  unknown: undefined,
};

/** A record without the properties that are undefined: the form in which rows are read back. */
function compact<T extends object>(record: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
}

function bytes(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(Math.round(value));
}

function whole(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value);
}

/** Figures of a node that is off are unknown; what it is made of stays as it was. */
export function nodeRecord(seen: ObservedNode, before: NodeRecord | undefined, at: number): NodeRecord {
  return compact<NodeRecord>({
    id: seen.name,
    status: seen.status,
    type: "node",
    cpuUsage: seen.cpuUsage,
    cpuMax: whole(seen.cpus) ?? before?.cpuMax,
    memoryUsage: bytes(seen.memoryUsed),
    memoryMax: bytes(seen.memory) ?? before?.memoryMax,
    uptime: whole(seen.uptime),
    pveVersion: seen.pveVersion ?? before?.pveVersion,
    lastSeen: seen.status === "online" ? at : before?.lastSeen,
  });
}

/** Where only the list was read, the configuration and what the list leaves out stay as they were. */
function guestRecord(seen: SeenGuest, before: VmRecord | ContainerRecord | undefined, at: number) {
  return {
    id: seen.vmid,
    nodeId: seen.node,
    name: seen.name ?? before?.name,
    status: STATUS[seen.status] ?? before?.status ?? ("unknown" as const),
    template: seen.template,
    cpuCores: whole(seen.cpus) ?? before?.cpuCores,
    cpuUsage: seen.cpuUsage,
    memoryBytes: bytes(seen.memory) ?? before?.memoryBytes,
    memoryUsage: bytes(seen.memoryUsed),
    diskSize: bytes(seen.disk) ?? before?.diskSize,
    diskUsage: bytes(seen.diskUsed),
    networkIn: bytes(seen.networkIn),
    networkOut: bytes(seen.networkOut),
    uptime: whole(seen.uptime),
    haManaged: seen.haState !== undefined,
    lockStatus: seen.lock,
    configDigest: seen.digest ?? before?.configDigest,
    lastSeen: at,
    config: seen.config ?? before?.config,
    pending: seen.pending ?? before?.pending,
    tags: seen.tags,
    pool: seen.pool,
  };
}

export function vmRecord(seen: SeenGuest, before: VmRecord | undefined, at: number): VmRecord {
  return compact<VmRecord>({
    ...guestRecord(seen, before, at),
    pid: seen.status === "running" ? (seen.pid ?? before?.pid) : seen.pid,
    uuid: seen.identities?.[0] ?? before?.uuid,
  });
}

export function containerRecord(seen: SeenGuest, before: ContainerRecord | undefined, at: number): ContainerRecord {
  const guest = guestRecord(seen, before, at);
  return compact<ContainerRecord>({
    ...guest,
    hostname: guest.name,
    swapBytes: bytes(seen.swap) ?? before?.swapBytes,
    swapUsage: bytes(seen.swapUsed),
    // PVE does not keep the template a container was made of.
    osTemplate: before?.osTemplate,
  });
}

/** Figures of a storage as a whole: a shared one has the same everywhere, local ones add up. */
export function storageRecord(seen: ObservedStorage, before: StorageRecord | undefined, at: number): StorageRecord {
  const active = seen.nodes.filter((node) => node.active);
  const figure = (of: "total" | "used" | "available"): bigint | undefined => {
    const values = active.map((node) => BigInt(Math.round(node[of])));
    if (values.length === 0) return undefined;
    return values.reduce((a, b) => (seen.shared ? (a > b ? a : b) : a + b));
  };
  return compact<StorageRecord>({
    id: seen.id,
    type: seen.type,
    contentTypes: [...seen.content].sort(),
    enabled: seen.enabled,
    shared: seen.shared,
    totalBytes: figure("total"),
    usedBytes: figure("used"),
    availableBytes: figure("available"),
    path: seen.path,
    nodes: seen.nodes.map((node) => node.node).sort(),
    configDigest: before?.configDigest,
    lastSeen: at,
  });
}

export function nodeStorageRows(seen: ObservedStorage): NodeStorageRow[] {
  return seen.nodes.map((node) =>
    compact<NodeStorageRow>({
      nodeId: node.node,
      storageId: seen.id,
      active: node.active,
      totalBytes: bytes(node.total),
      usedBytes: bytes(node.used),
      availableBytes: bytes(node.available),
    }),
  );
}
