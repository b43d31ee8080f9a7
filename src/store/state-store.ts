import type {
  ContainerRecord,
  NodeRecord,
  ResourceType,
  SnapshotRecord,
  StateStore,
  StorageRecord,
  SyncResult,
  VmRecord,
} from "../history/types.js";
import type { ObservedState } from "../observed/types.js";
import type { Units } from "./database.js";
import { nodes, containers, stateSnapshots, storage, vms } from "./entities/cluster.js";
import type { Table } from "./entities/table.js";
import { findAll, unstamped } from "./rows.js";
import { REMOVED, syncState } from "./sync.js";

/** What PVE was last seen to be, and what it was before. */
export class SqlStateStore implements StateStore {
  constructor(private readonly database: Units) {}

  sync(observed: ObservedState): Promise<SyncResult> {
    return this.database.write((tx) => syncState(tx, observed));
  }

  async nodes(): Promise<readonly NodeRecord[]> {
    const rows = await this.all(nodes);
    return rows.filter((node) => node.status !== REMOVED);
  }

  vms(): Promise<readonly VmRecord[]> {
    return this.all(vms);
  }

  containers(): Promise<readonly ContainerRecord[]> {
    return this.all(containers);
  }

  storages(): Promise<readonly StorageRecord[]> {
    return this.all(storage);
  }

  snapshots(filter: { type?: ResourceType; id?: string; limit?: number } = {}): Promise<readonly SnapshotRecord[]> {
    return this.database.read(async (tx) => {
      const rows = await findAll(tx, stateSnapshots, (q) => {
        if (filter.type !== undefined) q.andWhere("t.resourceType = :type", { type: filter.type });
        if (filter.id !== undefined) q.andWhere("t.resourceId = :id", { id: filter.id });
        if (filter.limit !== undefined) q.limit(filter.limit);
        return q.orderBy("t.id", "DESC");
      });
      return rows.map(unstamped);
    });
  }

  /** Sorted here: databases sort text by their own locales. */
  private all<T extends { readonly id: string | number }>(table: Table<T>): Promise<T[]> {
    return this.database.read(async (tx) => {
      const rows = await findAll(tx, table);
      return rows.map(unstamped).sort((a, b) => (a.id < b.id ? -1 : 1));
    });
  }
}
