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
