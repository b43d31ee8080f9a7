import type { ContainerRecord, NodeRecord, SnapshotRecord, StorageRecord, VmRecord } from "../../history/types.js";
import { table } from "./table.js";

export const nodes = table<NodeRecord>(
  "nodes",
  {
    id: "text key",
    status: "text",
    type: "text?",
    cpuUsage: "real?",
    cpuMax: "int?",
    memoryUsage: "bigint?",
    memoryMax: "bigint?",
    uptime: "int?",
    pveVersion: "text?",
    lastSeen: "time?",
  },
  { indexes: [{ columns: ["status"] }, { columns: ["lastSeen"] }] },
);

const guestColumns = {
  id: "int key",
  nodeId: "text",
  name: "text?",
  status: "text",
  template: "bool",
  cpuCores: "int?",
  cpuUsage: "real?",
  memoryBytes: "bigint?",
  memoryUsage: "bigint?",
  diskSize: "bigint?",
  diskUsage: "bigint?",
  networkIn: "bigint?",
  networkOut: "bigint?",
  uptime: "int?",
  haManaged: "bool",
  lockStatus: "text?",
  configDigest: "text?",
  lastSeen: "time?",
  config: "json?",
  pending: "json?",
  tags: "json",
  pool: "text?",
  observedHash: "text?",
} as const;

const guestKeys = {
  indexes: [
    { columns: ["nodeId"] },
    { columns: ["status"] },
    { columns: ["name"] },
    { columns: ["pool"] },
    { columns: ["lastSeen"] },
  ],
  foreignKeys: [{ column: "nodeId", table: "nodes", references: "id", onDelete: "NO ACTION" }],
} as const;

/** What a row has beyond the record. */
interface Observed {
  /** Of what was last observed of the guest; undefined where somebody else wrote the row since. */
  readonly observedHash?: string;
}

export type VmRow = VmRecord & Observed;
export type ContainerRow = ContainerRecord & Observed;

export const vms = table<VmRow>("vms", { ...guestColumns, pid: "int?", uuid: "text?" }, guestKeys);

export interface VmTagRow {
  readonly vmId: number;
  readonly tag: string;
}

/** Tags once more, to find guests by them. */
export const vmTags = table<VmTagRow>(
  "vm_tags",
  { vmId: "int key", tag: "text key" },
  {
    indexes: [{ columns: ["tag"] }],
    foreignKeys: [{ column: "vmId", table: "vms", references: "id", onDelete: "CASCADE" }],
  },
);

export interface ContainerTagRow {
  readonly containerId: number;
  readonly tag: string;
}

export const containers = table<ContainerRow>(
  "containers",
  { ...guestColumns, hostname: "text?", swapBytes: "bigint?", swapUsage: "bigint?", osTemplate: "text?" },
  guestKeys,
);

export const containerTags = table<ContainerTagRow>(
  "container_tags",
  { containerId: "int key", tag: "text key" },
  {
    indexes: [{ columns: ["tag"] }],
    foreignKeys: [{ column: "containerId", table: "containers", references: "id", onDelete: "CASCADE" }],
  },
);

export const storage = table<StorageRecord>(
  "storage",
  {
    id: "text key",
    type: "text",
    contentTypes: "json",
    enabled: "bool",
    shared: "bool",
    totalBytes: "bigint?",
    usedBytes: "bigint?",
    availableBytes: "bigint?",
    path: "text?",
    nodes: "json",
    configDigest: "text?",
    lastSeen: "time?",
  },
  { indexes: [{ columns: ["type"] }, { columns: ["lastSeen"] }] },
);

/** Which node may use which storage, and the figures it has there. */
export interface NodeStorageRow {
  readonly nodeId: string;
  readonly storageId: string;
  readonly active: boolean;
  readonly totalBytes?: bigint;
  readonly usedBytes?: bigint;
  readonly availableBytes?: bigint;
}

export const nodeStorage = table<NodeStorageRow>(
  "node_storage",
  {
    nodeId: "text key",
    storageId: "text key",
    active: "bool",
    totalBytes: "bigint?",
    usedBytes: "bigint?",
    availableBytes: "bigint?",
  },
  {
    indexes: [{ columns: ["storageId"] }],
    foreignKeys: [
      { column: "nodeId", table: "nodes", references: "id", onDelete: "CASCADE" },
      { column: "storageId", table: "storage", references: "id", onDelete: "CASCADE" },
    ],
  },
);

export const stateSnapshots = table<SnapshotRecord>(
  "state_snapshots",
  {
    id: "bigint serial",
    snapshotTime: "time",
    resourceType: "text",
    resourceId: "text",
    resourceData: "json",
    changeType: "text",
    changedPaths: "json",
    taskId: "int?",
    user: "text?",
  },
  {
    indexes: [
      { columns: ["resourceType", "resourceId", "id"] },
      { columns: ["snapshotTime"] },
      { columns: ["taskId"] },
    ],
    foreignKeys: [{ column: "taskId", table: "tasks", references: "id", onDelete: "SET NULL" }],
  },
);
