import { setTimeout as sleep } from "node:timers/promises";

/** Waits before attempt n+1: `first` ms, doubling, at most `most`, with jitter so that rivals part. */
async function pause(attempt: number, { first, most }: { first: number; most: number }): Promise<void> {
  const base = Math.min(most, first * 2 ** (attempt - 1));
  await sleep(base / 2 + Math.random() * (base / 2));
}

/** Before a lock is tried again: locks are short. */
export function pauseForLock(attempt: number): Promise<void> {
  return pause(attempt, { first: 5, most: 100 });
}

/** Before a lost connection is tried again: servers take seconds to restart. */
export function pauseForConnection(attempt: number): Promise<void> {
  return pause(attempt, { first: 250, most: 2000 });
}
