/** A PVE task's unique id, `UPID:node:pid:pstart:start:type:id:user:`. */
export type Upid = string;

/** How a PVE task stands. `exit` is PVE's text: `OK`, `WARNINGS: n` or an error. */
export type TaskState = { readonly running: true } | { readonly running: false; readonly exit: string };

export interface TaskLogLine {
  readonly n: number;
  readonly text: string;
  /** How far the task is by this line, 0…100; of copies and backups only. */
  readonly percent?: number;
}

/** An entry of PVE's task list. Times in UTC milliseconds. */
export interface TaskEntry {
  readonly upid: Upid;
  readonly node: string;
  readonly type: string;
  readonly id: string;
  /** `ops@pve` or `ops@pve!main`. */
  readonly user: string;
  readonly startTime: number;
  readonly endTime?: number;
  /** undefined while it runs. */
  readonly exit?: string;
}

/** What is read of PVE's tasks; implemented by src/pve. */
export interface TaskReader {
  /** Throws PVE_TASK_LOST where PVE no longer knows it. */
  state(upid: Upid, signal?: AbortSignal): Promise<TaskState>;
  /** Lines after line number `after` (0: from the start), at most 500. */
  log(upid: Upid, after: number, signal?: AbortSignal): Promise<readonly TaskLogLine[]>;
  /** Tasks of a node, running and ended, newest first; `since` in UTC milliseconds. */
  list(
    node: string,
    filter: { vmid?: number; since?: number; type?: string },
    signal?: AbortSignal,
  ): Promise<readonly TaskEntry[]>;
}
