import type { TaskLog, Work } from "../tasks/runner.js";

/** What HA was asked to do with a guest, until its manager comes round to it. */
export type HaRequest =
  | { readonly node: string; readonly type: string; readonly work: (log: TaskLog) => Work }
  | { readonly move: string; readonly relocate: boolean };
