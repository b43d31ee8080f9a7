import type { TaskRecord } from "../../apply/types.js";
import type {
  ContainerRecord,
  NodeRecord,
  ResourceType,
  SnapshotRecord,
  StorageRecord,
  VmRecord,
} from "../../history/types.js";

/** Which rows; all that is given must hold. */
export interface Filter {
  /** Of snapshots: the kind of change. */
  readonly status?: string;
  /** The node it is on, or may be used on. */
  readonly node?: string;
  readonly tag?: string;
  /** `app=web`, or `app` for any value; labels are those of the inventory. */
  readonly label?: string;
  /** With `*` and `?`: `web-*`. Of nodes and storage it is the id. */
  readonly name?: string;
  /** Seen, of tasks started, of snapshots taken at or after this time, UTC milliseconds. */
  readonly since?: number;
  /** The same, before this time. */
  readonly until?: number;
  readonly resourceType?: ResourceType;
  readonly resourceId?: string;
}

/** A record as it is stored. */
export type Kept<T> = T & {
  readonly createdAt: number;
  /** UTC milliseconds; every change makes it greater, so it is the row's version. */
  readonly updatedAt: number;
};

export interface Page<T> {
  readonly items: readonly T[];
  /** Where to go on; undefined: there is no more. Rows that come or go meanwhile move nothing. */
  readonly next?: string;
}

/** Rows to write; a function, where they stream, since a transaction may begin again. */
export type Rows<T> = readonly T[] | (() => Iterable<T> | AsyncIterable<T>);

/** What a table is written with and read by; the types differ per table, see Repositories. */
export interface RepositoryTypes {
  readonly record: { readonly id: string | number | bigint };
  /** What is created: without the id where the database gives it. */
  readonly draft: object;
  readonly filter: keyof Filter;
  readonly group: string;
  /** Records that belong to one, by the relation's name. */
  readonly related: object;
}

/**
 * One table. Every call is one transaction, unless it is part of a unit of work. Throws the DB_ errors: DB_NOT_FOUND,
 * DB_DUPLICATE, DB_FOREIGN_KEY, DB_CONFLICT, …
 */
export interface Repository<M extends RepositoryTypes> {
  create(record: M["draft"]): Promise<Kept<M["record"]>>;
  /** Throws DB_NOT_FOUND. */
  get(id: M["record"]["id"]): Promise<Kept<M["record"]>>;
  find(id: M["record"]["id"]): Promise<Kept<M["record"]> | undefined>;
  /** Changes fields; undefined takes one away. Throws DB_CONFLICT where the row is not `seen` any more. */
  update(
    id: M["record"]["id"],
    changes: { readonly [K in Exclude<keyof M["record"], "id">]?: M["record"][K] | undefined },
    seen?: { readonly updatedAt: number },
  ): Promise<Kept<M["record"]>>;
  /** Throws DB_NOT_FOUND, and DB_FOREIGN_KEY where other rows refer to it. */
  delete(id: M["record"]["id"]): Promise<void>;
  /** Writes many whole; gives how many. Memory does not grow with them. */
  upsert(records: Rows<M["record"]>): Promise<number>;
  /** By id; at most `limit`, 100 by default. */
  page(
    filter?: Pick<Filter, M["filter"]>,
    from?: { readonly after?: string | undefined; readonly limit?: number; readonly order?: "asc" | "desc" },
  ): Promise<Page<Kept<M["record"]>>>;
  /** All that match, by id, page by page: memory does not grow with them, and nothing is locked in between. */
  stream(filter?: Pick<Filter, M["filter"]>): AsyncIterable<Kept<M["record"]>>;
  count(filter?: Pick<Filter, M["filter"]>): Promise<number>;
  /** How many per value; rows without one count under the empty text. */
  countBy(group: M["group"], filter?: Pick<Filter, M["filter"]>): Promise<ReadonlyMap<string, number>>;
  /** What belongs to many records, in one statement for all (per thousand); by the record's id as text. */
  related<K extends keyof M["related"] & string>(
    relation: K,
    records: readonly M["record"][],
  ): Promise<ReadonlyMap<string, readonly M["related"][K][]>>;
}

type Types<R extends RepositoryTypes["record"], T extends Omit<RepositoryTypes, "record" | "draft">> = T & {
  readonly record: R;
  readonly draft: R;
};
type Numbered<R extends RepositoryTypes["record"], T extends Omit<RepositoryTypes, "record" | "draft">> = T & {
  readonly record: R;
  readonly draft: Omit<R, "id">;
};

interface GuestTypes {
  readonly filter: "status" | "node" | "tag" | "label" | "name" | "since" | "until";
  readonly group: "status" | "node" | "pool" | "tag";
  readonly related: { readonly node: NodeRecord; readonly tasks: TaskRecord; readonly snapshots: SnapshotRecord };
}

export type NodeTypes = Types<
  NodeRecord,
  {
    readonly filter: "status" | "name" | "since" | "until";
    readonly group: "status";
    readonly related: {
      readonly vms: VmRecord;
      readonly containers: ContainerRecord;
      readonly storage: StorageRecord;
      readonly tasks: TaskRecord;
    };
  }
>;
export type VmTypes = Types<VmRecord, GuestTypes>;
export type ContainerTypes = Types<ContainerRecord, GuestTypes>;
export type StorageTypes = Types<
  StorageRecord,
  {
    readonly filter: "node" | "name" | "since" | "until";
    readonly group: "type";
    readonly related: { readonly nodes: NodeRecord; readonly snapshots: SnapshotRecord };
  }
>;
export type TaskTypes = Numbered<
  TaskRecord,
  {
    readonly filter: "status" | "node" | "since" | "until" | "resourceType" | "resourceId";
    readonly group: "status" | "node" | "type" | "user";
    readonly related: { readonly node: NodeRecord; readonly snapshots: SnapshotRecord };
  }
>;
export type SnapshotTypes = Numbered<
  SnapshotRecord,
  {
    readonly filter: "status" | "since" | "until" | "resourceType" | "resourceId";
    readonly group: "status" | "resourceType";
    readonly related: { readonly task: TaskRecord };
  }
>;

/** The tables of what is observed and done. */
export interface Repositories {
  readonly nodes: Repository<NodeTypes>;
  readonly vms: Repository<VmTypes>;
  readonly containers: Repository<ContainerTypes>;
  readonly storage: Repository<StorageTypes>;
  readonly tasks: Repository<TaskTypes>;
  readonly snapshots: Repository<SnapshotTypes>;
}
