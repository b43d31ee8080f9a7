/** Where the simulator's time comes from: the machine when served, a test's own when embedded. */
export interface SimulatorClock {
  /** UTC milliseconds. */
  now(): number;
  /** Calls `action` once after `ms` milliseconds; the returned function takes it back. */
  after(ms: number, action: () => void): () => void;
}

/** The machine's clock. Its timers keep no process alive. */
export const realClock: SimulatorClock = {
  now: () => Date.now(),
  after(ms, action) {
    const timer = setTimeout(action, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until a test moves it; timers run in order of their time. */
export class ManualClock implements SimulatorClock {
  private readonly timers = new Set<{ at: number; action: () => void }>();

  constructor(private time: number) {}

  now(): number {
    return this.time;
  }

  after(ms: number, action: () => void): () => void {
    const timer = { at: this.time + ms, action };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Moves the time on by `ms` and runs what falls due on the way. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = [...this.timers].filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.timers.delete(next);
      this.time = Math.max(this.time, next.at);
      next.action();
    }
    this.time = end;
  }
}
