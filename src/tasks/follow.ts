import { ProxmoorError } from "../model/errors.js";
import type { TaskLogLine, TaskReader, TaskState, Upid } from "./types.js";

/** How a followed task ended. */
export interface TaskEnd {
  /** PVE's text: `OK`, `WARNINGS: n` or an error. */
  readonly exit: string;
  /** OK or with warnings. */
  readonly ok: boolean;
  /** How many warnings it ended with. */
  readonly warnings: number;
  /** The last lines of its log, without PVE's closing `TASK …` line. */
  readonly logTail: readonly string[];
}

/** Milliseconds. */
export interface FollowIntervals {
  /** The pause after the first look; each further one is half as long again. */
  readonly first: number;
  readonly longest: number;
}

export interface FollowOptions {
  /** Waits, and rejects when the signal ends it. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly onLog?: ((lines: readonly TaskLogLine[]) => void) | undefined;
  /** Percent, whenever the log gives a new figure. */
  readonly onProgress?: ((percent: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly intervals?: Partial<FollowIntervals> | undefined;
}

/** Most tasks end within a second; a clone's log grows about each percent. */
const INTERVALS: FollowIntervals = { first: 200, longest: 2_000 };
const GROWTH = 1.5;
const TAIL_LINES = 50;

/**
 * Follows a PVE task to its end, however long that takes: a reader that fails for a while is asked again, since the
 * task goes on without being watched. Ends when the signal does, leaving the task alone.
 *
 * @throws ProxmoorError PVE_TASK_LOST where PVE no longer knows the task, and errors that asking again won't mend
 *   (`retry: "never"`); the signal's reason.
 */
export async function followTask(reader: TaskReader, upid: Upid, options: FollowOptions): Promise<TaskEnd> {
  const { signal, sleep } = options;
  const { first, longest } = { ...INTERVALS, ...options.intervals };
  const log = new LogFollower(reader, upid, options);
  let pause = first;
  for (;;) {
    signal?.throwIfAborted();
    const state = await survive(() => reader.state(upid, signal), signal);
    if (state === undefined || state.running) {
      if (state !== undefined) await log.read();
      await sleep(pause, signal);
      pause = Math.min(longest, pause * GROWTH);
      continue;
    }
    await log.read();
    return taskEnd(state.exit, log.tail());
  }
}

/** Reads what is new of the log, and keeps its tail. A log that can't be read does not stop the following. */
class LogFollower {
  private seen = 0;
  private percent = -1;
  private readonly lines: string[] = [];

  constructor(
    private readonly reader: TaskReader,
    private readonly upid: Upid,
    private readonly options: FollowOptions,
  ) {}

  async read(): Promise<void> {
    for (;;) {
      const lines = await this.fetch();
      if (lines === undefined || lines.length === 0) return;
      this.take(lines);
    }
  }

  tail(): readonly string[] {
    return this.lines.filter((line) => !/^TASK (OK|ERROR: |WARNINGS: )/.test(line)).slice(-TAIL_LINES);
  }

  private async fetch(): Promise<readonly TaskLogLine[] | undefined> {
    const { signal } = this.options;
    try {
      return await this.reader.log(this.upid, this.seen, signal);
    } catch (error) {
      if (signal?.aborted === true || !(error instanceof ProxmoorError)) throw error;
      return undefined;
    }
  }

  private take(lines: readonly TaskLogLine[]): void {
    this.seen = lines.reduce((last, { n }) => Math.max(last, n), this.seen + 1);
    this.lines.push(...lines.map(({ text }) => text));
    this.lines.splice(0, this.lines.length - TAIL_LINES - 1);
    this.options.onLog?.(lines);
    const percent = lines.findLast((line) => line.percent !== undefined)?.percent;
    if (percent === undefined || percent === this.percent) return;
    this.percent = percent;
    this.options.onProgress?.(percent);
  }
}

/** undefined where the call failed in a way that may pass. */
async function survive<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    const passing = error instanceof ProxmoorError && error.retry === "later";
    if (passing && signal?.aborted !== true) return undefined;
    throw error;
  }
}

function taskEnd(exit: Extract<TaskState, { running: false }>["exit"], logTail: readonly string[]): TaskEnd {
  const warnings = /^WARNINGS: (\d+)$/.exec(exit);
  return { exit, ok: exit === "OK" || warnings !== null, warnings: warnings ? Number(warnings[1]) : 0, logTail };
}
