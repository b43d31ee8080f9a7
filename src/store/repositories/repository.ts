import { ProxmoorError } from "../../model/errors.js";
import type { Units } from "../database.js";
import type { Provider, Stamps, Table } from "../entities/table.js";
import { storeError } from "../errors.js";
import {
  chunks,
  continueNumbers,
  deleteWhere,
  findAll,
  findOne,
  insertMany,
  insertOne,
  unstamped,
  updateWhere,
} from "../rows.js";
import type { Query, Tx } from "../rows.js";
import { applyFilter } from "./filters.js";
import type { Conditions } from "./filters.js";
import type { Filter, Kept, Page, Repository, RepositoryTypes, Rows } from "./types.js";

type Id = string | number | bigint;

/** How one table is a repository. `Row` is what lies in the table, M["record"] what the program knows. */
export interface RepositorySpec<M extends RepositoryTypes, Row extends { readonly id: Id }> {
  /** One row, for messages: `VM`, `task`. */
  readonly noun: string;
  readonly table: Table<Row>;
  readonly conditions: Conditions<M["filter"]>;
  /** What counts are grouped by: an expression over `t`, or over `g` of a side table. */
  readonly groups: Readonly<Record<M["group"], { readonly by: string; readonly join?: readonly [string, string] }>>;
  readonly relations: { readonly [K in keyof M["related"]]: Relation<M["record"], M["related"][K]> };
  readonly toRow: (record: M["record"], now: number) => Row;
  readonly toRecord: (row: Row & Stamps) => M["record"];
  /** Side tables that follow the rows. */
  readonly written?: (tx: Tx, rows: readonly Row[]) => Promise<void>;
}

/** Finds what belongs to many records at once, by the record's id as text. */
export type Relation<T, R> = (tx: Tx, records: readonly T[]) => Promise<Map<string, R[]>>;

const DEFAULT_LIMIT = 100;
/** Rows that are in memory at once. With more of them, what is garbage soon lives longer. */
const CHUNK = { upsert: 100, stream: 250 };

export class SqlRepository<M extends RepositoryTypes, Row extends { readonly id: Id }> implements Repository<M> {
  constructor(
    private readonly work: Units,
    private readonly spec: RepositorySpec<M, Row>,
  ) {}

  create(record: M["draft"]): Promise<Kept<M["record"]>> {
    const { table, toRow } = this.spec;
    return this.work.write(async (tx) => {
      const row = toRow(record as M["record"], tx.now);
      if (isNumbered(table)) {
        const id = await insertOne(tx, table as unknown as Table<{ id: number }>, row);
        return this.load(tx, typeof row.id === "bigint" ? BigInt(id) : id);
      }
      try {
        await insertMany(tx, table, [row]);
      } catch (error) {
        throw this.named(error, row.id);
      }
      await this.spec.written?.(tx, [row]);
      return this.load(tx, row.id);
    });
  }

  get(id: M["record"]["id"]): Promise<Kept<M["record"]>> {
    return this.work.read((tx) => this.load(tx, id));
  }

  find(id: M["record"]["id"]): Promise<Kept<M["record"]> | undefined> {
    return this.work.read(async (tx) => {
      const row = await this.row(tx, id);
      return row === undefined ? undefined : this.kept(row);
    });
  }

  update(
    id: M["record"]["id"],
    changes: { readonly [K in Exclude<keyof M["record"], "id">]?: M["record"][K] | undefined },
    seen?: { readonly updatedAt: number },
  ): Promise<Kept<M["record"]>> {
    return this.work.write(async (tx) => {
      const before = await this.load(tx, id);
      const { createdAt: _created, updatedAt: _updated, ...record } = before;
      const row = this.spec.toRow({ ...record, ...changes }, tx.now);
      const key = { id: textual(id), ...(seen === undefined ? {} : { updatedAt: seen.updatedAt }) };
      const fields = Object.keys(this.spec.table.columns).filter(
        (field) => !["id", "createdAt", "updatedAt"].includes(field),
      );
      const values = Object.fromEntries(fields.map((field) => [field, (row as Record<string, unknown>)[field]]));
      const changed = await updateWhere(tx, this.spec.table as Table<object>, values, key);
      if (changed === 0) throw this.conflict(id);
      await this.spec.written?.(tx, [row]);
      return this.load(tx, id);
    });
  }

  delete(id: M["record"]["id"]): Promise<void> {
    return this.work.write(async (tx) => {
      await this.load(tx, id);
      try {
        await deleteWhere(tx, this.spec.table as Table<object>, { id: textual(id) });
      } catch (error) {
        throw this.named(error, id);
      }
    });
  }

  upsert(records: Rows<M["record"]>): Promise<number> {
    return this.work.write(async (tx) => {
      let count = 0;
      let rows: Row[] = [];
      const flush = async () => {
        // Of two with one id the later counts; one statement can't write a row twice.
        const unique = [...new Map(rows.map((row) => [row.id, row])).values()];
        await insertMany(tx, this.spec.table, unique, { onConflict: "update", withIds: true });
        await this.spec.written?.(tx, unique);
        rows = [];
      };
      for await (const record of typeof records === "function" ? records() : records) {
        rows.push(this.spec.toRow(record, tx.now));
        count += 1;
        if (rows.length >= CHUNK.upsert) await flush();
      }
      await flush();
      if (isNumbered(this.spec.table)) await continueNumbers(tx, this.spec.table.name);
      return count;
    });
  }

  async page(
    filter?: Pick<Filter, M["filter"]>,
    from: { readonly after?: string | undefined; readonly limit?: number; readonly order?: "asc" | "desc" } = {},
  ): Promise<Page<Kept<M["record"]>>> {
    const limit = from.limit ?? DEFAULT_LIMIT;
    const order = from.order ?? "asc";
    const after = from.after === undefined ? undefined : readCursor(from.after, order);
    return this.work.read(async (tx) => {
      const found = await findAll(tx, this.spec.table, (query) => {
        const key = this.sortKey(query, tx.provider, order);
        if (after !== undefined) query.andWhere(`${key} ${order === "asc" ? ">" : "<"} :after`, { after });
        // One more than asked for tells whether there is more.
        return this.filtered(query, filter, tx.provider).limit(limit + 1);
      });
      const items = found.slice(0, limit).map((row) => this.kept(row));
      const last = found.length > limit ? items.at(-1) : undefined;
      return last === undefined ? { items } : { items, next: cursor(last.id, order) };
    });
  }

  async *stream(filter?: Pick<Filter, M["filter"]>): AsyncGenerator<Kept<M["record"]>> {
    let after: string | undefined;
    do {
      const page: Page<Kept<M["record"]>> = await this.page(filter, { after, limit: CHUNK.stream });
      yield* page.items;
      after = page.next;
    } while (after !== undefined);
  }

  async count(filter?: Pick<Filter, M["filter"]>): Promise<number> {
    return this.work.read(async (tx) => {
      const query = tx.runner.manager.createQueryBuilder<Record<string, unknown>>(this.spec.table.name, "t");
      const row = await this.filtered(query.select("COUNT(*)", "n"), filter, tx.provider).getRawOne<{ n: unknown }>();
      return Number(row?.n);
    });
  }

  countBy(group: M["group"], filter?: Pick<Filter, M["filter"]>): Promise<ReadonlyMap<string, number>> {
    const { by, join } = this.spec.groups[group];
    return this.work.read(async (tx) => {
      const query = tx.runner.manager.createQueryBuilder<Record<string, unknown>>(this.spec.table.name, "t");
      if (join !== undefined) query.innerJoin(join[0], "g", join[1]);
      query.select(by, "value").addSelect("COUNT(*)", "n").groupBy(by);
      const rows = await this.filtered(query, filter, tx.provider).getRawMany<{ value: string | null; n: unknown }>();
      const counts = rows.map(({ value, n }) => [value ?? "", Number(n)] as const);
      return new Map(counts.sort(([a], [b]) => (a < b ? -1 : 1)));
    });
  }

  related<K extends keyof M["related"] & string>(
    relation: K,
    records: readonly M["record"][],
  ): Promise<ReadonlyMap<string, readonly M["related"][K][]>> {
    return this.work.read(async (tx) => {
      const all = new Map<string, M["related"][K][]>();
      for (const chunk of chunks(records, 1000)) {
        for (const [id, items] of await this.spec.relations[relation](tx, chunk)) all.set(id, items);
      }
      return all;
    });
  }

  private filtered(query: Query, filter: Pick<Filter, M["filter"]> | undefined, provider: Provider): Query {
    return filter === undefined ? query : applyFilter(query, filter, { conditions: this.spec.conditions, provider });
  }

  /** Texts are sorted by code points, in PostgreSQL too, so that a cursor means the same everywhere. */
  private sortKey(query: Query, provider: Provider, order: "asc" | "desc"): string {
    const direction = order === "asc" ? "ASC" : "DESC";
    if (provider === "sqlite" || this.spec.table.columns["id"]?.type !== "text") {
      query.orderBy("t.id", direction);
      return "t.id";
    }
    query.addSelect('t.id COLLATE "C"', "sort_key").orderBy("sort_key", direction);
    return 't.id COLLATE "C"';
  }

  private row(tx: Tx, id: Id): Promise<(Row & Stamps) | undefined> {
    return findOne(tx, this.spec.table, (query) => query.where("t.id = :id", { id: textual(id) }));
  }

  private async load(tx: Tx, id: Id): Promise<Kept<M["record"]>> {
    const row = await this.row(tx, id);
    if (row !== undefined) return this.kept(row);
    const subject = `${this.spec.noun} ${id}`;
    throw new ProxmoorError("DB_NOT_FOUND", `There is no ${subject} in the database`, { subject });
  }

  private kept(row: Row & Stamps): Kept<M["record"]> {
    return { ...this.spec.toRecord(row), createdAt: row.createdAt, updatedAt: row.updatedAt };
  }

  private conflict(id: Id): ProxmoorError {
    const subject = `${this.spec.noun} ${id}`;
    return new ProxmoorError("DB_CONFLICT", `Somebody else changed ${subject} in between`, {
      subject,
      retry: "later",
      remedy: "Read it again and decide anew.",
    });
  }

  /** Says which row an error of the database is about. */
  private named(error: unknown, id: Id): unknown {
    const fault = storeError(error);
    if (fault.code !== "DB_DUPLICATE" && fault.code !== "DB_FOREIGN_KEY") return error;
    return new ProxmoorError(fault.code, fault.message, { subject: `${this.spec.noun} ${id}`, cause: fault.cause });
  }
}

function isNumbered(table: Omit<Table<unknown>, "row">): boolean {
  return table.columns["id"]?.generated === true;
}

/** Drivers bind no bigint. */
function textual(id: Id): string | number {
  return typeof id === "bigint" ? id.toString() : id;
}

function cursor(id: Id, order: string): string {
  return Buffer.from(JSON.stringify([order, typeof id, textual(id)])).toString("base64url");
}

function readCursor(text: string, order: string): string | number {
  try {
    const [way, , id] = JSON.parse(Buffer.from(text, "base64url").toString()) as [string, string, unknown];
    if (way === order && (typeof id === "string" || typeof id === "number")) return id;
  } catch {
    // Said below.
  }
  throw new ProxmoorError("USAGE", "the cursor is none of this list", { remedy: "Begin with the first page." });
}

/** The usual conversion: rows are the records. */
export const asIs = {
  toRow: <T>(record: T): T => record,
  toRecord: <T>(row: T & Stamps): T => unstamped(row),
};
