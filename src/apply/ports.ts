import type { TaskReader } from "../tasks/types.js";
import type { Place } from "../desired/types.js";
import type { Change } from "../plan/types.js";
import type { ApplyEvent } from "./events.js";
import type { EventLog, Leases, ResourceStore, StepSender, TaskLog } from "./types.js";

/** Time and chance, given from outside so that a test can hold them. */
export interface Clock {
  /** UTC milliseconds. */
  now(): number;
  /** Ends early, with the signal's reason, when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** 0 ≤ x < 1. */
  random(): number;
}

/** Everything a run touches. */
export interface ApplyPorts {
  readonly sender: StepSender;
  readonly pveTasks: TaskReader;
  readonly taskLog: TaskLog;
  readonly resources: ResourceStore;
  readonly leases: Leases;
  readonly events: EventLog;
  readonly clock: Clock;
  /** True for a holder of a lease that is surely dead (see LeaseTaker). */
  readonly isGone: (holder: string) => boolean;
  /** Plans one object again on a fresh look; undefined where nothing is left to do. */
  readonly replan: (change: Change) => Promise<Change | undefined>;
  readonly onEvent: (event: ApplyEvent) => void;
}

export interface ApplyOptions {
  /** Names the run in the tasks table. */
  readonly run: string;
  /** Names this program in leases: host, process and a random part. */
  readonly holder: string;
  /** The `source` of a resource that is declared there. */
  readonly sourceOf: (place: Place) => string;
  readonly user?: string;
  /** Steps under way at once, in all and on one node. */
  readonly concurrency: number;
  readonly perNode: number;
  /** How long PVE's locks are waited for, ms. */
  readonly lockPatience: number;
  /** A freed vmid is not given out again for so long, ms. */
  readonly quarantine: number;
  readonly signal?: AbortSignal;
}
