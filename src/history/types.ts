import type { Json } from "../model/json.js";
import type { ObservedState } from "../observed/types.js";

/** Rows as the database keeps them and `get` shows them. Times in UTC milliseconds, sizes in bytes (exact to 2^63-1). */
export interface NodeRecord {
  readonly id: string;
  readonly status: string;
  readonly type?: string;
  readonly cpuUsage?: number;
  readonly cpuMax?: number;
  readonly memoryUsage?: bigint;
  readonly memoryMax?: bigint;
  readonly uptime?: number;
  readonly pveVersion?: string;
  readonly lastSeen?: number;
}

interface GuestRecord {
  readonly id: number;
  readonly nodeId: string;
  readonly name?: string;
  /** `unknown`: listed by the cluster, but its node never answered for it. */
  readonly status: "running" | "stopped" | "suspended" | "unknown";
  readonly template: boolean;
  readonly cpuCores?: number;
  readonly cpuUsage?: number;
  readonly memoryBytes?: bigint;
  readonly memoryUsage?: bigint;
  readonly diskSize?: bigint;
  readonly diskUsage?: bigint;
  readonly networkIn?: bigint;
  readonly networkOut?: bigint;
  readonly uptime?: number;
  readonly haManaged: boolean;
  readonly lockStatus?: string;
  readonly configDigest?: string;
  readonly lastSeen?: number;
  /** The whole PVE config; undefined until it was read once. */
  readonly config?: Readonly<Record<string, string>>;
  readonly pending?: Readonly<Record<string, string | null>>;
  readonly tags: readonly string[];
  readonly pool?: string;
}

export interface VmRecord extends GuestRecord {
  readonly pid?: number;
  readonly uuid?: string;
}

export interface ContainerRecord extends GuestRecord {
  readonly hostname?: string;
  readonly swapBytes?: bigint;
  readonly swapUsage?: bigint;
  readonly osTemplate?: string;
}

export interface StorageRecord {
  readonly id: string;
  readonly type: string;
  readonly contentTypes: readonly string[];
  readonly enabled: boolean;
  readonly shared: boolean;
  readonly totalBytes?: bigint;
  readonly usedBytes?: bigint;
  readonly availableBytes?: bigint;
  readonly path?: string;
  readonly nodes: readonly string[];
  readonly configDigest?: string;
  readonly lastSeen?: number;
}

export type ResourceType = "node" | "vm" | "container" | "storage";

export interface SnapshotRecord {
  readonly id: bigint;
  readonly snapshotTime: number;
  readonly resourceType: ResourceType;
  readonly resourceId: string;
  readonly resourceData: Json;
  readonly changeType: "created" | "updated" | "deleted" | "discovered";
  /** Paths of the fields that changed, e.g. `config.memory`, `status`. */
  readonly changedPaths: readonly string[];
  readonly taskId?: number;
  readonly user?: string;
}

/** What one synchronisation wrote. */
export interface SyncResult {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly unchanged: number;
}

/** The observed state in the database; implemented by src/store. */
export interface StateStore {
  /**
   * One observed cluster in one transaction. Rows that vanished from a complete observation are deleted and
   * snapshotted as `deleted`; guests of nodes that did not answer keep their rows. Writes only what changed.
   */
  sync(observed: ObservedState): Promise<SyncResult>;
  nodes(): Promise<readonly NodeRecord[]>;
  vms(): Promise<readonly VmRecord[]>;
  containers(): Promise<readonly ContainerRecord[]>;
  storages(): Promise<readonly StorageRecord[]>;
  /** Newest first; of one resource where given. */
  snapshots(filter?: { type?: ResourceType; id?: string; limit?: number }): Promise<readonly SnapshotRecord[]>;
}

/** One field that changed; undefined: it was, or is, not there. */
export interface FieldChange {
  /** `status`, `config.memory`. */
  readonly path: string;
  readonly from?: Json;
  readonly to?: Json;
}

/** Names an observed object for people: `vm/web-01`, `node/pve1`. */
export interface ResourceName {
  readonly type: ResourceType;
  readonly id: string;
  readonly name?: string;
}

/** One change that was seen, with who is behind it where that is known. */
export interface HistoryEntry extends ResourceName {
  readonly snapshot: bigint;
  /** UTC milliseconds. */
  readonly time: number;
  readonly change: SnapshotRecord["changeType"];
  readonly fields: readonly FieldChange[];
  readonly user?: string;
  readonly task?: { readonly id: number; readonly type: string; readonly upid?: string };
}

/** What the cluster was at one time, without the figures that move by themselves. */
export interface ClusterState {
  readonly time: number;
  readonly nodes: readonly NodeRecord[];
  readonly vms: readonly VmRecord[];
  readonly containers: readonly ContainerRecord[];
  readonly storages: readonly StorageRecord[];
}

/** What is kept: all changes since `since`, and of each object the newest `revisions` besides. */
export interface Retention {
  /** UTC milliseconds; left out: only the newest revisions stay. */
  readonly since?: number;
  readonly revisions: number;
}

/** What things were before; implemented by src/store. */
export interface History {
  /** Newest first, of the objects where given; `before` is the snapshot to go on from. */
  entries(filter?: {
    readonly type?: ResourceType;
    readonly ids?: readonly string[];
    readonly before?: bigint;
    readonly limit?: number;
  }): Promise<readonly HistoryEntry[]>;
  /** Ids of the objects that have, or once had, this name; newest first. */
  named(type: ResourceType, name: string): Promise<readonly string[]>;
  /** The state at a time, exactly. Throws HISTORY_MISSING where history does not reach back so far. */
  at(time: number): Promise<ClusterState>;
  /** Deletes what is not to be kept; gives how many rows. The state at any time since `since` stays exact. */
  thin(keep: Retention): Promise<{ readonly snapshots: number; readonly tasks: number; readonly others: number }>;
}
