import type { Clock } from "../../src/apply/ports.js";

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly fire: () => void;
}

/** Where the tests' clocks start. */
export const START = Date.parse("2026-03-01T08:00:00Z");

/** A clock that stands until a test moves it; sleeps end in the order they are due. */
export class FakeClock implements Clock {
  #now = START;
  #order = 0;
  #busy = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  random(): number {
    return 0.5;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(asError(signal.reason));
      const end = () => {
        this.#timers.delete(timer);
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      const stop = () => {
        this.#timers.delete(timer);
        reject(asError(signal?.reason));
      };
      const timer: Timer = { due: this.#now + Math.max(0, ms), order: this.#order++, fire: end };
      this.#timers.add(timer);
      signal?.addEventListener("abort", stop, { once: true });
    });
  }

  /** Calls `action` once after `ms`, as the simulator's clock does; the returned function takes it back. */
  after(ms: number, action: () => void): () => void {
    const end = () => {
      this.#timers.delete(timer);
      action();
    };
    const timer: Timer = { due: this.#now + Math.max(0, ms), order: this.#order++, fire: end };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Work that takes real time (the database): the clock stands still until it has ended. */
  async track<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work();
    } finally {
      this.#busy--;
    }
  }

  /** Moves time on, from sleep to sleep, until the promise is settled. Throws where nothing is left to wait for. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    promise.then(
      () => (isSettled = true),
      () => (isSettled = true),
    );
    for (;;) {
      await this.#settle();
      if (isSettled) return promise;
      if (!this.#fireNext(Infinity)) throw new Error("deadlock: nobody sleeps and nothing is under way");
    }
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    do await this.#settle();
    while (this.#fireNext(until));
    this.#now = until;
    await this.#settle();
  }

  get sleepers(): number {
    return this.#timers.size;
  }

  #fireNext(until: number): boolean {
    let next: Timer | undefined;
    for (const timer of this.#timers)
      if (!next || timer.due < next.due || (timer.due === next.due && timer.order < next.order)) next = timer;
    if (!next || next.due > until) return false;
    this.#now = Math.max(this.#now, next.due);
    next.fire();
    return true;
  }

  /** Until all that can happen without time passing has happened. */
  async #settle(): Promise<void> {
    do await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#busy > 0);
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
