import type { EventLog, EventRecord, Leases, ResourceStore, TaskLog, TaskRecord } from "../../src/apply/types.js";
import { ProxmoorError } from "../../src/model/errors.js";
import { compareRefs, refKey } from "../../src/model/ref.js";
import type { Resource } from "../../src/plan/types.js";

/** Stores in memory with the semantics of src/store, for tests that start thousands of runs. */
export class FakeStores {
  readonly rows: TaskRecord[] = [];
  readonly inventory = new Map<string, Resource>();
  readonly quarantine = new Map<number, number>();
  readonly leaseRows = new Map<string, { holder: string | undefined; token: number; expiresAt: number }>();
  readonly eventRows: EventRecord[] = [];
  #lastId = 0;

  readonly tasks: TaskLog = {
    plan: async (rows) => {
      const fresh = rows.map((row): TaskRecord => ({ ...row, id: ++this.#lastId, status: "planned", log: [] }));
      this.rows.push(...fresh);
      return fresh.map(({ id }) => id);
    },
    begin: async (id, request, at) => this.#change(id, { status: "running", request, startTime: at }),
    attach: async (id, upid) => {
      const other = this.rows.find((row) => row.upid === upid && row.id !== id);
      if (other?.run !== undefined) throw new ProxmoorError("DB_DUPLICATE", `Task ${other.id} has this UPID already`);
      if (other) this.rows.splice(this.rows.indexOf(other), 1);
      this.#change(id, { upid });
    },
    finish: async (id, { status, exitStatus, log, at }) =>
      this.#change(id, {
        status,
        endTime: at,
        ...(exitStatus !== undefined && { exitStatus }),
        ...(log !== undefined && { log }),
      }),
    unfinished: async () =>
      this.rows.filter((row) => row.run !== undefined && ["planned", "running", "unknown"].includes(row.status)),
    list: async (filter = {}) =>
      this.rows
        .filter(
          (row) =>
            (filter.ref ?? row.ref) === row.ref &&
            (filter.run ?? row.run) === row.run &&
            (filter.status ?? row.status) === row.status,
        )
        .reverse()
        .slice(0, filter.limit),
    observe: async (entries) => {
      for (const { upid, node, type, id, startTime, exit } of entries) {
        const status = exit === undefined ? "running" : exit === "OK" ? "OK" : "ERROR";
        const row = { upid, node, type, status, resourceType: "vm", resourceId: id, startTime, log: [] } as const;
        if (!this.rows.some((one) => one.upid === upid)) this.rows.push({ ...row, id: ++this.#lastId });
      }
    },
  };

  readonly resources: ResourceStore = {
    inventory: async (now) => ({
      resources: [...this.inventory.values()].sort((a, b) => compareRefs(a.ref, b.ref)),
      unavailableVmids: new Set([
        ...[...this.inventory.values()].map((one) => one.vmid),
        ...[...this.quarantine].filter(([, until]) => until > now).map(([vmid]) => vmid),
      ]),
    }),
    find: async (ref) => this.inventory.get(refKey(ref)),
    save: async (resource) => {
      const other = [...this.inventory.values()].find(
        (one) => one.vmid === resource.vmid && refKey(one.ref) !== refKey(resource.ref),
      );
      if (other)
        throw new ProxmoorError("DB_DUPLICATE", `vmid ${resource.vmid} can't be given: ${refKey(other.ref)} has it`, {
          subject: refKey(resource.ref),
          facts: { vmid: resource.vmid, other: refKey(other.ref) },
        });
      this.inventory.set(refKey(resource.ref), structuredClone(resource));
      this.quarantine.delete(resource.vmid);
    },
    remove: async (ref, until) => {
      const before = this.inventory.get(refKey(ref));
      if (before) this.quarantine.set(before.vmid, until);
      this.inventory.delete(refKey(ref));
    },
  };

  readonly leases: Leases = {
    acquire: async ({ name, holder, ttlMs, now }) => {
      const row = this.leaseRows.get(name) ?? { holder: undefined, token: 0, expiresAt: 0 };
      if (row.holder !== undefined && row.expiresAt > now && row.holder !== holder) return undefined;
      this.leaseRows.set(name, { holder, token: row.token + 1, expiresAt: now + ttlMs });
      return { token: row.token + 1 };
    },
    renew: async ({ name, holder, ttlMs, now }) => {
      const row = this.leaseRows.get(name);
      if (row?.holder !== holder) return false;
      row.expiresAt = now + ttlMs;
      return true;
    },
    release: async (name, holder) => {
      const row = this.leaseRows.get(name);
      if (row?.holder === holder) Object.assign(row, { holder: undefined, expiresAt: 0 });
    },
    holder: async (name) => {
      const row = this.leaseRows.get(name);
      return row?.holder === undefined ? undefined : { holder: row.holder, expiresAt: row.expiresAt };
    },
  };

  readonly events: EventLog = {
    record: async (event) => void this.eventRows.push(event),
    list: async (filter = {}) =>
      this.eventRows
        .filter((one) => (filter.ref ?? one.ref) === one.ref)
        .reverse()
        .slice(0, filter.limit),
  };

  #change(id: number, changes: Partial<TaskRecord>): void {
    const index = this.rows.findIndex((row) => row.id === id);
    const row = this.rows[index];
    if (!row) throw new ProxmoorError("DB_NOT_FOUND", `There is no task ${id}`);
    this.rows[index] = { ...row, ...changes };
  }
}
