import type { Ref } from "../model/ref.js";
import type { Step } from "../plan/types.js";
import type { Lease } from "./lease.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";

/** What every step of one change shares. */
export interface StepContext {
  readonly ports: ApplyPorts;
  readonly options: ApplyOptions;
  readonly ref: Ref;
  readonly lease: Lease;
  /** How the object came to be ours: what this change makes has no earlier state, what it adopts no identity yet. */
  readonly origin: "made" | "adopted" | "ours";
}

/** A step with its row in the tasks table. */
export interface StepRow {
  readonly id: number;
  readonly step: Step;
}
