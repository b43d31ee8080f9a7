import type { ProxmoorError } from "../model/errors.js";
import type { ObservedGuest, Sight } from "../observed/types.js";
import type { Ref } from "../model/ref.js";
import type { Inventory, Resource, Step, StepTarget } from "../plan/types.js";
import type { TaskEntry, Upid } from "../tasks/types.js";

/** Sends one step to PVE; implemented by src/pve. */
export interface StepSender {
  /**
   * One write, sent once. `base` is the guest as read right before (undefined for create and clone); config writes
   * carry its digest. Gives the UPID where PVE started a task. Throws ProxmoorError: PVE_NO_ANSWER when the request
   * may have been taken, PVE_LOCKED / PVE_DIGEST / PVE_PARAMETER / PVE_PERMISSION / PVE_ERROR when PVE refused it,
   * PVE_UNREACHABLE when it surely was not sent.
   */
  send(step: Step, base: ObservedGuest | undefined, signal?: AbortSignal): Promise<{ upid?: Upid }>;
  /** What `send` would send, for the tasks table and dry runs: method, path, parameters with secrets masked. */
  describe(step: Step, base: ObservedGuest | undefined): StepRequest;
  /**
   * The PVE task that a step whose answer was lost started, if it did: by node, type, vmid and start (`since` in UTC
   * ms, an hour of clock skew allowed for), never one of `known`.
   */
  trace(step: TraceHint, known: ReadonlySet<Upid>, signal?: AbortSignal): Promise<Upid | undefined>;
  /** The error behind a task's exit text (PVE_LOCKED, PVE_TASK_FAILED, …). */
  explain(exit: string, subject: string): ProxmoorError;
  /** Reads one guest again, status included. */
  look(at: Omit<StepTarget, "identity">, signal?: AbortSignal): Promise<Sight>;
}

/** What is known of a write whose answer is not: the row of the tasks table. */
export interface TraceHint {
  readonly node: string;
  /** PVE's task type. */
  readonly type: string;
  readonly vmid: number;
  readonly request?: StepRequest;
  /** When the request went out, UTC milliseconds. */
  readonly since: number;
}

export interface StepRequest {
  readonly method: "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
}

export type TaskStatus = "planned" | "running" | "OK" | "ERROR" | "unknown" | "stopped";

/** A row of the tasks table: a planned, running or ended write of ours, or a task that others ran in PVE. */
export interface TaskRecord {
  /** Surrogate key, see the ADR. */
  readonly id: number;
  readonly upid?: Upid;
  readonly node: string;
  /** PVE's task type (qmcreate, vzstart …); for synchronous calls the step's op (configure …). */
  readonly type: string;
  readonly status: TaskStatus;
  readonly resourceType: "vm" | "container" | "node" | "storage";
  readonly resourceId: string;
  readonly user?: string;
  readonly startTime?: number;
  readonly endTime?: number;
  readonly exitStatus?: string;
  readonly log: readonly string[];
  /** The run (one apply, one reconcile) it belongs to. */
  readonly run?: string;
  /** Its place in the run's change, from 0. */
  readonly step?: number;
  /** refKey of the object. */
  readonly ref?: string;
  readonly generation?: number;
  /** SHA-256 over method, path and parameters. */
  readonly fingerprint?: string;
  readonly request?: StepRequest;
}

/** The write-ahead log; implemented by src/store. Each call is one committed transaction. */
export interface TaskLog {
  /** All steps of a change as `planned`, before anything is sent. Gives their ids in order. */
  plan(rows: readonly Omit<TaskRecord, "id" | "status" | "log">[]): Promise<readonly number[]>;
  /** `running`, right before the request goes out. */
  begin(id: number, request: StepRequest, at: number): Promise<void>;
  /** The UPID, right after the answer. */
  attach(id: number, upid: Upid): Promise<void>;
  /** Its end. `log` is the tail of PVE's log. */
  finish(
    id: number,
    end: { status: "OK" | "ERROR" | "unknown" | "stopped"; exitStatus?: string; log?: readonly string[]; at: number },
  ): Promise<void>;
  /** Rows of ours that are `planned`, `running` or `unknown`: what a crash left. */
  unfinished(): Promise<readonly TaskRecord[]>;
  /** Newest first. */
  list(filter?: { ref?: string; run?: string; status?: TaskStatus; limit?: number }): Promise<readonly TaskRecord[]>;
  /** Tasks that others ran in PVE, by upid: inserted or updated. */
  observe(entries: readonly TaskEntry[]): Promise<void>;
}

/** The inventory in the database; implemented by src/store. Each call is one committed transaction. */
export interface ResourceStore {
  /** All resources, and the vmids that are reserved or in quarantine at `now`. */
  inventory(now: number): Promise<Inventory>;
  find(ref: Ref): Promise<Resource | undefined>;
  /** Writes a resource whole (by kind and name). Throws DB_DUPLICATE where another resource has the vmid. */
  save(resource: Resource): Promise<void>;
  /** Forgets it; its vmid is not given out again before `quarantineUntil` (UTC ms). */
  remove(ref: Ref, quarantineUntil: number): Promise<void>;
}

/** Mutual exclusion between programs on one database, with fencing tokens; implemented by src/store. */
export interface Leases {
  /** Takes (or takes over, once expired) the lease; undefined while another holder has it. Tokens only grow. */
  acquire(lease: { name: string; holder: string; ttlMs: number; now: number }): Promise<{ token: number } | undefined>;
  /** Prolongs; false where it was lost meanwhile. */
  renew(lease: { name: string; holder: string; ttlMs: number; now: number }): Promise<boolean>;
  release(name: string, holder: string): Promise<void>;
  /** Who has it, for messages. */
  holder(name: string): Promise<{ holder: string; expiresAt: number } | undefined>;
}

/** Something that happened to a resource, for `describe` and the controller's log. */
export interface EventRecord {
  readonly id?: number;
  /** UTC milliseconds. */
  readonly time: number;
  readonly type: "Normal" | "Warning";
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
  /** refKey; undefined for the cluster as a whole. */
  readonly ref?: string;
  /** How often it was seen; repeated ones within an hour are counted, not added. */
  readonly count?: number;
}

export interface EventLog {
  record(event: EventRecord): Promise<void>;
  /** Newest first. */
  list(filter?: { ref?: string; limit?: number }): Promise<readonly EventRecord[]>;
}
