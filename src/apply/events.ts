import type { Action, Step } from "../plan/types.js";

/** What a run tells while it goes on; `key` is the object's refKey. Also the lines of `apply -o json`. */
export type ApplyEvent =
  | {
      readonly type: "recovered";
      readonly key: string;
      readonly upid?: string;
      readonly status: string;
      readonly text: string;
    }
  | {
      readonly type: "change-started";
      readonly key: string;
      readonly action: Action;
      readonly vmid?: number;
      readonly node?: string;
    }
  | {
      readonly type: "step-started";
      readonly key: string;
      readonly op: Step["op"];
      readonly step: number;
      readonly steps: number;
    }
  | { readonly type: "step-submitted"; readonly key: string; readonly op: Step["op"]; readonly upid: string }
  | {
      readonly type: "step-progress";
      readonly key: string;
      readonly op: Step["op"];
      readonly percent?: number;
      readonly text: string;
    }
  | {
      readonly type: "step-waiting";
      readonly key: string;
      readonly op: Step["op"];
      readonly text: string;
      readonly ms: number;
    }
  | {
      readonly type: "step-done";
      readonly key: string;
      readonly op: Step["op"];
      readonly ms: number;
      readonly warnings?: string;
    }
  | {
      readonly type: "step-failed";
      readonly key: string;
      readonly op: Step["op"];
      readonly text: string;
      readonly log: readonly string[];
    }
  | {
      readonly type: "change-done";
      readonly key: string;
      readonly action: Action;
      readonly ms: number;
      readonly pending: readonly string[];
    }
  | {
      readonly type: "change-failed";
      readonly key: string;
      readonly action: Action;
      readonly code: string;
      readonly text: string;
      readonly remedy?: string;
    }
  | { readonly type: "change-skipped"; readonly key: string; readonly action: Action; readonly because: string };

/** How one object came out. */
export type Outcome =
  | { readonly result: "done"; readonly action: Action; readonly pending: readonly string[] }
  | {
      readonly result: "failed";
      readonly action: Action;
      readonly code: string;
      readonly text: string;
      readonly retry: "never" | "later";
      readonly remedy?: string;
    }
  | { readonly result: "skipped"; readonly action: Action; readonly because: string }
  /** `sent`: something was sent before; what runs in PVE goes on. */
  | { readonly result: "interrupted"; readonly action: Action; readonly sent: boolean };

export interface RunResult {
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly interrupted: boolean;
}
