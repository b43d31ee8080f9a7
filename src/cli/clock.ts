import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../apply/ports.js";

/** The real clock: the only one outside tests. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {});
  },
  random: () => Math.random(),
};
