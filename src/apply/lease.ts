import { ProxmoorError } from "../model/errors.js";
import type { Clock } from "./ports.js";
import type { Leases } from "./types.js";

const TTL_MS = 60_000;

/** Who takes a lease, and how it knows that another holder is dead. */
export interface LeaseHolder {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly holder: string;
  /** True where the holder is surely gone (a process of this machine that is no more): its lease need not run out. */
  readonly isGone: (holder: string) => boolean;
}

/** Takes a lease that is free, has run out, or whose holder is surely gone. */
export async function acquire(
  lease: Parameters<Leases["acquire"]>[0],
  { leases, isGone }: LeaseHolder,
): Promise<boolean> {
  if (await leases.acquire(lease)) return true;
  const other = await leases.holder(lease.name);
  if (!other || !isGone(other.holder)) return false;
  await leases.release(lease.name, other.holder);
  return (await leases.acquire(lease)) !== undefined;
}

/**
 * Runs `work` while holding the lease `name`, so that two programs on one database never work on one guest at once.
 * Throws APPLY_BUSY where another holder has it. Renewed at a third of its time to live.
 */
export async function withLease<T>(name: string, by: LeaseHolder, work: () => Promise<T>): Promise<T> {
  const { leases, clock, holder } = by;
  const lease = () => ({ name, holder, ttlMs: TTL_MS, now: clock.now() });
  if (!(await acquire(lease(), by))) {
    const other = await leases.holder(name);
    throw new ProxmoorError("APPLY_BUSY", `${other?.holder ?? "another run"} works on it`, {
      subject: name,
      retry: "later",
      remedy: "Wait for it to end; the lease of a run that died ends by itself within a minute.",
    });
  }
  const done = new AbortController();
  const renewal = (async () => {
    for (;;) {
      await clock.sleep(TTL_MS / 3, done.signal);
      await leases.renew(lease());
    }
  })().catch(() => undefined);
  try {
    return await work();
  } finally {
    done.abort();
    await renewal;
    await leases.release(name, holder);
  }
}
