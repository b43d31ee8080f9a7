import type { SimulatorClock } from "../clock.js";

/** The simulated cluster's own time: that of the machine or the test, and what it is off by. */
export class SkewedClock implements SimulatorClock {
  /** Milliseconds. */
  skew = 0;

  constructor(private readonly base: SimulatorClock) {}

  now(): number {
    return this.base.now() + this.skew;
  }

  after(ms: number, action: () => void): () => void {
    return this.base.after(ms, action);
  }
}
