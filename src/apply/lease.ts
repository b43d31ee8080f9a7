import { ProxmoorError } from "../model/errors.js";
import type { Clock } from "./ports.js";
import type { Leases } from "./types.js";

const TTL_MS = 30_000;
const ASK_AGAIN_MS = 1000;

/** Who takes leases, by which clock, and how it knows that another holder is dead. */
export interface LeaseTaker {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly holder: string;
  /** True where the holder is surely gone (a process of this machine that is no more): its lease need not run out. */
  readonly isGone: (holder: string) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A lease that is held. */
export interface Lease {
  /** Right before every write: throws APPLY_BUSY where the lease went to somebody else (this program was stopped). */
  confirm(): Promise<void>;
}

/** Takes a lease that is free, has run out, or whose holder is surely gone. */
export async function acquire(
  lease: Parameters<Leases["acquire"]>[0],
  { leases, isGone }: LeaseTaker,
): Promise<boolean> {
  if (await leases.acquire(lease)) return true;
  const other = await leases.holder(lease.name);
  if (!other || !isGone(other.holder)) return false;
  await leases.release(lease.name, other.holder);
  return (await leases.acquire(lease)) !== undefined;
}

/**
 * Runs `work` while holding the lease `name`, so that two programs on one database never work on one guest at once.
 * One that a dead program left is waited for; throws APPLY_BUSY as soon as its holder shows a sign of life.
 */
export async function withLease<T>(name: string, by: LeaseTaker, work: (lease: Lease) => Promise<T>): Promise<T> {
  const { leases, clock, holder } = by;
  const claim = () => ({ name, holder, ttlMs: TTL_MS, now: clock.now() });
  await take(name, by, claim);
  const done = new AbortController();
  const renewal = keep(by, claim, done.signal);
  try {
    return await work({
      confirm: async () => {
        if (!(await leases.renew(claim()))) throw busy(name, (await leases.holder(name))?.holder);
      },
    });
  } finally {
    done.abort();
    await renewal;
    await leases.release(name, holder);
  }
}

async function take(name: string, by: LeaseTaker, claim: () => Parameters<Leases["acquire"]>[0]): Promise<void> {
  const { leases, clock, signal } = by;
  let seen: Awaited<ReturnType<Leases["holder"]>>;
  while (!(await acquire(claim(), by))) {
    const other = await leases.holder(name);
    if (seen && other && (other.holder !== seen.holder || other.expiresAt !== seen.expiresAt))
      throw busy(name, other.holder);
    seen ??= other;
    await clock.sleep(ASK_AGAIN_MS, signal);
  }
}

/** Renews until the signal; a database that fails for a moment costs one renewal, not the lease. */
async function keep(
  { leases, clock }: LeaseTaker,
  claim: () => Parameters<Leases["renew"]>[0],
  done: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(TTL_MS / 3, done);
      await leases.renew(claim()).catch(() => undefined);
    }
  } catch {
    return; // the sleep was ended
  }
}

/** `host:pid:start` as a person reads it. */
export function describeHolder(holder: string | undefined): string {
  const [host, pid] = holder?.split(":") ?? [];
  if (host === undefined || pid === undefined) return holder ?? "another run";
  return `another run (process ${pid} on host ${host})`;
}

function busy(name: string, holder: string | undefined): ProxmoorError {
  return new ProxmoorError("APPLY_BUSY", `${describeHolder(holder)} works on it`, {
    subject: name,
    retry: "later",
    remedy: "Wait for it to end, then run again.",
  });
}
