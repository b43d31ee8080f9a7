import type { ApplyOptions, ApplyPorts } from "../apply/ports.js";
import type { DesiredState } from "../desired/types.js";
import type { StateStore } from "../history/types.js";
import type { Fault } from "../model/fault.js";
import type { ClusterReader } from "../observed/types.js";
import type { PlanPolicy } from "../plan/types.js";

type LogData = Readonly<Record<string, unknown>>;

/** Constant messages, data beside them. */
export interface Log {
  debug(data: LogData, message: string): void;
  info(data: LogData, message: string): void;
  warn(data: LogData, message: string): void;
  error(data: LogData, message: string): void;
}

/** What the controller counts; implemented by src/http. Durations in seconds. */
export interface Metrics {
  reconciled(result: "unchanged" | "changed" | "failed" | "blocked" | "waiting", seconds: number): void;
  polled(result: "ok" | "failed", seconds: number): void;
  drift(correction: "corrected" | "reported"): void;
  /** Read when the metrics are scraped. */
  gauges(
    read: () => {
      queueDepth: number;
      working: number;
      resources: number;
      conditions: Readonly<Record<string, number>>;
      faults: number;
    },
  ): void;
}

/** Where the desired state comes from; read again whenever `changed` says so. */
export interface DesiredSource {
  /** What is good of it, and the faults of the rest. `complete` false: something could not be read, so nothing is gone. */
  read(): Promise<{ desired: DesiredState; faults: readonly Fault[]; complete: boolean }>;
  /** Calls back when files may have changed; gives the way to stop. */
  watch(changed: () => void): Promise<() => Promise<void>>;
  /** True for sources (Resource.source) that belong to it. */
  covers(source: string): boolean;
}

export interface ControllerPorts extends Omit<ApplyPorts, "replan" | "onEvent"> {
  readonly reader: ClusterReader;
  readonly state: StateStore;
  readonly source: DesiredSource;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface ControllerOptions {
  readonly policy: PlanPolicy;
  readonly apply: Omit<ApplyOptions, "run" | "signal">;
  /** How often the cluster is looked at, ms. */
  readonly interval: number;
  /** Every so many looks read every guest's configuration, not only those of the inventory and of manifests. */
  readonly resyncEvery: number;
  /** Guests reconciled at once. */
  readonly workers: number;
  /** How long a stop waits for what is under way, ms. */
  readonly grace: number;
}

/** How the controller stands, for /readyz. */
export interface ControllerStatus {
  readonly started: boolean;
  /** UTC ms of the last look that worked, and the error of the last one that did not. */
  readonly lastPoll?: number;
  readonly pollError?: string;
  readonly faults: readonly Fault[];
  readonly queueDepth: number;
}
