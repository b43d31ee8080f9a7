import type { EventLog, EventRecord } from "../apply/types.js";
import type { Units } from "./database.js";
import { events } from "./entities/control.js";
import { findAll, findOne, insertOne, serialise, updateWhere } from "./rows.js";

/** Within this time the same event is counted, not added, ms. */
const REPEAT_MS = 3_600_000;

export class SqlEventLog implements EventLog {
  constructor(private readonly database: Units) {}

  record(event: EventRecord): Promise<void> {
    return this.database.write(async (tx) => {
      const { type, reason, message, ref, time } = event;
      const count = event.count ?? 1;
      const since = time - REPEAT_MS;
      await serialise(tx, "proxmoor events");
      const before = await findOne(tx, events, (q) =>
        q
          .where("t.reason = :reason AND t.type = :type AND t.message = :message", { reason, type, message })
          .andWhere("t.time >= :since AND t.time <= :time", { since, time })
          .andWhere(ref === undefined ? "t.ref IS NULL" : "t.ref = :ref", ref === undefined ? {} : { ref })
          .orderBy("t.id", "DESC"),
      );
      if (before === undefined) {
        const target = ref === undefined ? {} : { ref };
        await insertOne(tx, events, { type, reason, message, time, firstTime: time, count, ...target });
        return;
      }
      const changes = { time, count: before.count + count };
      await updateWhere(tx, events, changes, { id: before.id });
    });
  }

  list(filter: { ref?: string; limit?: number } = {}): Promise<readonly EventRecord[]> {
    return this.database.read(async (tx) => {
      const rows = await findAll(tx, events, (q) => {
        if (filter.ref !== undefined) q.where("t.ref = :ref", { ref: filter.ref });
        if (filter.limit !== undefined) q.limit(filter.limit);
        return q.orderBy("t.time", "DESC").addOrderBy("t.id", "DESC");
      });
      return rows.map(({ firstTime: _first, createdAt: _created, updatedAt: _updated, ...event }) => event);
    });
  }
}
