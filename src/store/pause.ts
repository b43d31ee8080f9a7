import { setTimeout as sleep } from "node:timers/promises";

/** Waits before attempt n+1: 10 ms, doubling, at most a second, with jitter so that rivals part. */
export async function pause(attempt: number): Promise<void> {
  const base = Math.min(1000, 10 * 2 ** attempt);
  await sleep(base / 2 + Math.random() * (base / 2));
}
