/** Delays after failures, milliseconds. */
export interface Backoff {
  readonly first: number;
  readonly longest: number;
}

interface Entry {
  /** Not before this time (ms of the queue's clock). */
  due: number;
  /** Smaller goes first among those that are due. */
  priority: number;
  failures: number;
}

/**
 * The controller's work queue: keys, not events. A key is there once however often it is added; one that is worked on
 * is not handed out again until it is done, and comes back if it was added meanwhile. Time and chance are parameters.
 */
export class WorkQueue {
  readonly #waiting = new Map<string, Entry>();
  readonly #working = new Map<string, { again: boolean; priority: number; failures: number }>();
  readonly #takers = new Set<() => void>();
  #isClosed = false;

  constructor(
    private readonly clock: { now(): number; random(): number },
    private readonly backoff: Backoff = { first: 1000, longest: 300_000 },
  ) {}

  /** Wants the key worked on. `fresh` forgets earlier failures (a new desire); otherwise a delay goes on. */
  add(key: string, options: { priority?: number; fresh?: boolean; delay?: number } = {}): void {
    if (this.#isClosed) return;
    const priority = options.priority ?? 1;
    const working = this.#working.get(key);
    if (working) {
      working.again = true;
      working.priority = Math.min(working.priority, priority);
      if (options.fresh === true) working.failures = 0;
      return;
    }
    const before = this.#waiting.get(key);
    const due = this.clock.now() + (options.delay ?? 0);
    if (!before || options.fresh === true)
      this.#waiting.set(key, { due, priority: Math.min(priority, before?.priority ?? priority), failures: 0 });
    else before.priority = Math.min(before.priority, priority);
    this.wake();
  }

  /** The next key that is due, or undefined. Call `done` or `failed` for it afterwards. */
  take(): string | undefined {
    const now = this.clock.now();
    let best: [string, Entry] | undefined;
    for (const [key, entry] of this.#waiting)
      if (
        entry.due <= now &&
        (!best || entry.priority < best[1].priority || (entry.priority === best[1].priority && entry.due < best[1].due))
      )
        best = [key, entry];
    if (!best) return undefined;
    const [key, entry] = best;
    this.#waiting.delete(key);
    this.#working.set(key, { again: false, priority: 1, failures: entry.failures });
    return key;
  }

  done(key: string): void {
    const working = this.#working.get(key);
    this.#working.delete(key);
    if (working?.again === true) this.add(key, { priority: working.priority });
    this.wake();
  }

  /** Comes back after a delay that doubles with each failure, with half of it random. Gives the delay, ms. */
  failed(key: string): number {
    const working = this.#working.get(key);
    this.#working.delete(key);
    if (this.#isClosed) return 0;
    const failures = (working?.failures ?? 0) + 1;
    const whole = Math.min(this.backoff.longest, this.backoff.first * 2 ** Math.min(failures - 1, 30));
    const delay = Math.round(whole / 2 + (whole / 2) * this.clock.random());
    this.#waiting.set(key, { due: this.clock.now() + delay, priority: working?.priority ?? 1, failures });
    this.wake();
    return delay;
  }

  /** Resolves when a key may have become due: one was added or given back, `wake` was called, or `ms` have passed. */
  async change(sleep: (ms: number, signal: AbortSignal) => Promise<void>, longest: number): Promise<void> {
    const stop = new AbortController();
    const wait = Math.max(0, Math.min(longest, this.#nextDue() - this.clock.now()));
    const taker = () => stop.abort();
    this.#takers.add(taker);
    await sleep(wait, stop.signal).catch(() => undefined);
    this.#takers.delete(taker);
  }

  /** Ends every `change` that waits. */
  wake(): void {
    for (const taker of this.#takers) taker();
    this.#takers.clear();
  }

  /** No key comes in or out any more. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
    this.wake();
  }

  get depth(): number {
    return this.#waiting.size;
  }

  get working(): number {
    return this.#working.size;
  }

  #nextDue(): number {
    let next = Infinity;
    for (const entry of this.#waiting.values()) next = Math.min(next, entry.due);
    return next;
  }
}
