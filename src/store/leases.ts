import type { Leases } from "../apply/types.js";
import { ProxmoorError } from "../model/errors.js";
import type { Units } from "./database.js";
import { leases } from "./entities/control.js";
import type { LeaseRow } from "./entities/control.js";
import { findOne, insertMany, updateWhere } from "./rows.js";
import type { Tx } from "./rows.js";

type Claim = Parameters<Leases["acquire"]>[0];

/** Leases as rows that are never deleted, so that a token is given out once. */
export class SqlLeases implements Leases {
  constructor(private readonly database: Units) {}

  acquire(lease: Claim): Promise<{ token: number } | undefined> {
    return this.database.write(async (tx) => {
      const free = { name: lease.name, token: 0, expiresAt: 0 };
      await insertMany(tx, leases, [free], { onConflict: "nothing" });
      const row = await lockRow(tx, lease.name);
      if (row === undefined || (isHeld(row, lease.now) && row.holder !== lease.holder)) return undefined;
      const token = row.token + 1;
      await update(tx, lease.name, { holder: lease.holder, token, expiresAt: lease.now + lease.ttlMs });
      return { token };
    });
  }

  renew(lease: Claim): Promise<boolean> {
    return this.database.write(async (tx) => {
      const row = await lockRow(tx, lease.name);
      // An expired lease that nobody took over is still its holder's.
      if (row?.holder !== lease.holder) return false;
      await update(tx, lease.name, { expiresAt: lease.now + lease.ttlMs });
      return true;
    });
  }

  release(name: string, holder: string): Promise<void> {
    return this.database.write(async (tx) => {
      const changes = { holder: undefined, expiresAt: 0 };
      await updateWhere(tx, leases, changes, { name, holder });
    });
  }

  holder(name: string): Promise<{ holder: string; expiresAt: number } | undefined> {
    return this.database.read(async (tx) => {
      const row = await findOne(tx, leases, (q) => q.where("t.name = :name", { name }));
      return row?.holder === undefined ? undefined : { holder: row.holder, expiresAt: row.expiresAt };
    });
  }
}

function isHeld(row: LeaseRow, now: number): boolean {
  return row.holder !== undefined && row.expiresAt > now;
}

/** In SQLite the transaction is the lock already. */
function lockRow(tx: Tx, name: string): Promise<LeaseRow | undefined> {
  return findOne(tx, leases, (q) => {
    q.where("t.name = :name", { name });
    return tx.provider === "postgresql" ? q.setLock("pessimistic_write") : q;
  });
}

async function update(tx: Tx, name: string, changes: Partial<LeaseRow>): Promise<void> {
  await updateWhere(tx, leases, changes, { name });
}

/** Whose writes count: the lease and the number it was taken with. */
export interface Fence {
  readonly name: string;
  readonly token: number;
}

/**
 * Units of work that write only while the lease has this token. A holder that was held up and comes back after another
 * took over is stopped by its first write: the lease is read in the same transaction, and who takes it waits for that
 * to end.
 */
export function fenced(units: Units, fence: Fence): Units {
  return {
    read: (work) => units.read(work),
    write: (work) =>
      units.write(async (tx) => {
        const row = await findOne(tx, leases, (q) => {
          q.where("t.name = :name", { name: fence.name });
          return tx.provider === "postgresql" ? q.setLock("pessimistic_read") : q;
        });
        if (row?.token !== fence.token || row.holder === undefined) throw lost(fence, row?.holder);
        return work(tx);
      }),
  };
}

function lost(fence: Fence, holder: string | undefined): ProxmoorError {
  const text = holder === undefined ? "the lease is held no more" : `${holder} has the lease now`;
  return new ProxmoorError("DB_FENCED", `Nothing was written: ${text}`, {
    subject: fence.name,
    remedy: "Stop what ran under it; who has the lease goes on with the work.",
  });
}
