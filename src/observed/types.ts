import type { Kind } from "../model/ref.js";

export type ObservedValue = string | number | boolean | readonly string[];
/** A guest's configuration in the manifests' fields (see desired/types.ts), only what PVE's config holds. */
export type ObservedFields = Readonly<Record<string, ObservedValue>>;

export type GuestStatus = "running" | "stopped" | "paused" | "unknown";

/** A guest in the lists of the cluster: cheap, no configuration. */
export interface GuestSummary {
  readonly kind: Kind;
  readonly vmid: number;
  readonly node: string;
  readonly name?: string;
  readonly status: GuestStatus;
  readonly template: boolean;
  readonly lock?: string;
  readonly tags: readonly string[];
  readonly pool?: string;
  /** The CRM's state; undefined where HA does not manage it. */
  readonly haState?: string;
  /** CPUs the guest may use; memory and disk in bytes; uptime in seconds; cpuUsage 0…1 of its CPUs. */
  readonly cpus?: number;
  readonly cpuUsage?: number;
  readonly memory?: number;
  readonly memoryUsed?: number;
  readonly swap?: number;
  readonly swapUsed?: number;
  readonly disk?: number;
  readonly diskUsed?: number;
  readonly networkIn?: number;
  readonly networkOut?: number;
  readonly uptime?: number;
  readonly pid?: number;
}

/** PVE's configuration as PVE gives it: one text per key, both what counts now and what waits for the next start. */
export interface RawConfig {
  /** With what is pending merged in: what the next start uses. */
  readonly config: Readonly<Record<string, string>>;
  /** Keys whose new value (or null: their removal) waits for the next start. */
  readonly pending: Readonly<Record<string, string | null>>;
  /** Of the keys in `pending`, the value that counts now; a key that is not set yet is left out. */
  readonly current?: Readonly<Record<string, string>>;
  readonly digest: string;
}

/** A guest with its configuration. */
export interface ObservedGuest extends GuestSummary, RawConfig {
  readonly fields: ObservedFields;
  /** Fields whose change waits for the next start, by path. */
  readonly pendingFields: readonly string[];
  /** The uuid of `smbios1` (VMs) or of Proxmoor's marker (containers, fresh clones); see ADR "identity marker". */
  readonly identities: readonly string[];
}

/** What one look at a vmid gives: three values, since silence is not absence. */
export type Sight =
  | { readonly at: "present"; readonly guest: ObservedGuest }
  | { readonly at: "absent" }
  | { readonly at: "unreadable"; readonly node: string; readonly reason: string };

export interface ObservedNode {
  readonly name: string;
  readonly status: "online" | "offline" | "unknown";
  readonly cpus?: number;
  /** 0…1 of all CPUs. */
  readonly cpuUsage?: number;
  /** Bytes. */
  readonly memory?: number;
  readonly memoryUsed?: number;
  /** Seconds. */
  readonly uptime?: number;
  readonly pveVersion?: string;
}

export interface ObservedStorage {
  readonly id: string;
  readonly type: string;
  readonly content: readonly string[];
  readonly enabled: boolean;
  readonly shared: boolean;
  readonly path?: string;
  /** The figures on each node that may use it; bytes. */
  readonly nodes: readonly {
    readonly node: string;
    readonly active: boolean;
    readonly total: number;
    readonly used: number;
    readonly available: number;
  }[];
}

/** One look at the cluster. */
export interface ObservedState {
  /** When the look began, UTC milliseconds. */
  readonly takenAt: number;
  readonly nodes: readonly ObservedNode[];
  readonly storages: readonly ObservedStorage[];
  /** Every guest of the cluster by list. */
  readonly summaries: ReadonlyMap<number, GuestSummary>;
  /** What was read of single vmids. A vmid that was not asked for and is in no list has no entry. */
  readonly sights: ReadonlyMap<number, Sight>;
  /** False when a node did not answer, so that the lists may be incomplete. */
  readonly complete: boolean;
}

/** What is read of PVE; implemented by src/pve. Every call throws ProxmoorError; `signal` ends it. */
export interface ClusterReader {
  /** Nodes, storages and the list of all guests with their live status; unreachable nodes are listed, not thrown. */
  overview(signal?: AbortSignal): Promise<{
    readonly nodes: readonly ObservedNode[];
    readonly storages: readonly ObservedStorage[];
    readonly guests: readonly GuestSummary[];
    /** Nodes whose own lists could not be read, and why. */
    readonly silent: ReadonlyMap<string, string>;
  }>;
  /** One guest's configuration (one request). Throws PVE_NOT_FOUND, PVE_NODE_OFFLINE, …. */
  guestConfig(at: { kind: Kind; vmid: number; node: string }, signal?: AbortSignal): Promise<RawConfig>;
  /** The raw configuration in fields, and the identities it carries: pure. */
  decode(kind: Kind, raw: RawConfig): Pick<ObservedGuest, "fields" | "pendingFields" | "identities">;
  /** The live status of one guest (one request); used right before and after a change. */
  guestStatus(at: { kind: Kind; vmid: number; node: string }, signal?: AbortSignal): Promise<GuestStatus>;
}
