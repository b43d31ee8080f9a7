import type { QueryRunner, SelectQueryBuilder } from "typeorm";
import { queryRows } from "./sql.js";
import type { Column, Provider, Stamps, Table } from "./entities/table.js";

/** One transaction, as the repositories see it. `now` is its time, UTC milliseconds, for created_at and updated_at. */
export interface Tx {
  readonly runner: QueryRunner;
  readonly provider: Provider;
  readonly now: number;
}

type Row = Record<string, unknown>;
export type Changes<T> = { readonly [K in keyof T]?: T[K] | undefined };
/** A number of a row that the database gives. */
type Id = number | bigint;
export type Query = SelectQueryBuilder<Row>;

/** The alias of the table in every query built here; conditions say `t.nodeId = :node`. */
const ALIAS = "t";
/** SQLite takes 32766 variables in a statement, PostgreSQL 65535. */
const MAX_VARIABLES = 32_000;
/** More rows in one statement are not faster (10,000 rows of 31 columns: 200 → 255 ms, 500 → 199 ms, 1000 → 255 ms). */
const MAX_ROWS = 500;

/** Reads records of a table; `build` adds conditions, order and limit. */
export async function findAll<T>(tx: Tx, table: Table<T>, build?: (query: Query) => Query): Promise<(T & Stamps)[]> {
  const query = tx.runner.manager.createQueryBuilder<Row>(table.name, ALIAS).select([]);
  for (const [property, column] of Object.entries(table.columns)) {
    query.addSelect(selection(property, column, tx.provider), property);
  }
  const rows = await (build?.(query) ?? query).getRawMany<Row>();
  return rows.map((row) => decodeRow(table, row));
}

export async function findOne<T>(
  tx: Tx,
  table: Table<T>,
  build: (query: Query) => Query,
): Promise<(T & Stamps) | undefined> {
  const [row] = await findAll(tx, table, (query) => build(query).limit(1));
  return row;
}

/** sqlite3 hands integers over as JavaScript numbers, exact to 2^53 only, so 64-bit ones are read as text. */
function selection(property: string, column: Column, provider: Provider): string {
  const path = `${ALIAS}.${property}`;
  return column.type === "bigint" && provider === "sqlite" ? `CAST(${path} AS TEXT)` : path;
}

function decodeRow<T>(table: Table<T>, row: Row): T & Stamps {
  const record: Row = {};
  for (const [property, column] of Object.entries(table.columns)) {
    const value = row[property];
    if (value !== null && value !== undefined) record[property] = decode(column, value);
  }
  return record as T & Stamps;
}

function decode(column: Column, value: unknown): unknown {
  switch (column.type) {
    case "bigint":
      return BigInt(value as string | number);
    case "time":
    case "int":
    case "real":
      return Number(value);
    case "bool":
      return value === true || value === 1;
    case "json":
      return typeof value === "string" ? JSON.parse(value) : value;
    case "text":
      return value;
  }
}

function encode(column: Column, value: unknown, provider: Provider): unknown {
  if (value === undefined || value === null) return null;
  switch (column.type) {
    case "bigint":
      // As text: sqlite3 would bind a float, and the column's affinity makes an exact integer of it.
      return typeof value === "bigint" ? value.toString() : value;
    case "bool":
      return provider === "sqlite" ? Number(value) : value;
    case "json":
      return storable(JSON.stringify(value));
    case "text":
      return storable(value as string);
    case "int":
    case "real":
    case "time":
      return value;
  }
}

/** PostgreSQL holds neither NUL nor half surrogate pairs in text. */
function storable(text: string): string {
  return text
    .replaceAll("\u0000", "\ufffd")
    .replace(/(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/gi, "$1\ufffd")
    .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}

/** Lets one transaction at a time past this point; in SQLite there is one writer anyway. */
export async function serialise(tx: Tx, what: string): Promise<void> {
  if (tx.provider === "postgresql") await tx.runner.query("SELECT pg_advisory_xact_lock(hashtext($1))", [what]);
}

interface InsertOptions {
  /** What happens to a row whose primary key is there already; left out: DB_DUPLICATE. */
  readonly onConflict?: "update" | "nothing";
}

/** Writes many rows with few statements. */
export function insertMany<T extends object>(
  tx: Tx,
  table: Table<T>,
  records: readonly T[],
  options: InsertOptions = {},
): Promise<void> {
  return insertChunks(tx, table, records, options);
}

/** Writes many rows that the database numbers, in their order. */
export function insertNumbered<T extends { readonly id: Id }>(
  tx: Tx,
  table: Table<T>,
  records: readonly Omit<T, "id">[],
): Promise<void> {
  return insertChunks(tx, table, records, {});
}

async function insertChunks<T>(
  tx: Tx,
  table: Table<T>,
  records: readonly object[],
  options: InsertOptions,
): Promise<void> {
  const columns = Object.entries(table.columns).filter(([, column]) => !column.generated);
  const size = Math.min(MAX_ROWS, Math.floor(MAX_VARIABLES / columns.length));
  for (const chunk of chunks(records, size)) {
    const { sql, values } = insertStatement(tx, table, columns, chunk);
    await tx.runner.query(`${sql}${conflictClause(columns, options)}`, values);
  }
}

/** Writes one row and gives the number the database gave it. */
export async function insertOne<T extends { readonly id: Id }>(
  tx: Tx,
  table: Table<T>,
  record: Omit<T, "id">,
): Promise<number> {
  const columns = Object.entries(table.columns).filter(([, column]) => !column.generated);
  const { sql, values } = insertStatement(tx, table, columns, [record]);
  // TypeORM answers an INSERT with SQLite's last row id, whatever RETURNING says.
  if (tx.provider === "sqlite") return Number(await tx.runner.query(sql, values));
  const rows = await queryRows<{ id: unknown }>(tx.runner, `${sql} RETURNING "id"`, values);
  return Number(rows[0]?.id);
}

function insertStatement(
  tx: Tx,
  table: { readonly name: string },
  columns: readonly (readonly [string, Column])[],
  records: readonly object[],
): { sql: string; values: unknown[] } {
  const values: unknown[] = [];
  const tuples = records.map((record) => {
    const row: Row = { ...record, createdAt: tx.now, updatedAt: tx.now };
    const places = columns.map(([property, column]) => `$${values.push(encode(column, row[property], tx.provider))}`);
    return `(${places.join(", ")})`;
  });
  const names = columns.map(([, column]) => `"${column.name}"`).join(", ");
  return { sql: `INSERT INTO "${table.name}" (${names}) VALUES ${tuples.join(", ")}`, values };
}

function conflictClause(columns: readonly (readonly [string, Column])[], options: InsertOptions): string {
  if (options.onConflict === undefined) return "";
  const keys = columns.filter(([, column]) => column.primary).map(([, column]) => `"${column.name}"`);
  if (options.onConflict === "nothing") return ` ON CONFLICT (${keys.join(", ")}) DO NOTHING`;
  const set = columns
    .filter(([property, column]) => !column.primary && property !== "createdAt")
    .map(([, column]) => `"${column.name}" = EXCLUDED."${column.name}"`);
  return ` ON CONFLICT (${keys.join(", ")}) DO UPDATE SET ${set.join(", ")}`;
}

/** Changes columns of the rows whose columns equal `key`; gives how many rows. An undefined value sets NULL. */
export async function updateWhere<T>(tx: Tx, table: Table<T>, changes: Changes<T>, key: Partial<T>): Promise<number> {
  const values: unknown[] = [];
  const equals = (fields: object): string[] =>
    Object.entries(fields).map(([property, value]) => {
      const column = columnOf(table, property);
      return `"${column.name}" = $${values.push(encode(column, value, tx.provider))}`;
    });
  const set = equals({ ...(changes as object), updatedAt: tx.now }).join(", ");
  const where = equals(key).join(" AND ");
  const result = await tx.runner.query(`UPDATE "${table.name}" SET ${set} WHERE ${where}`, values, true);
  return result.affected ?? 0;
}

/** Sets one column of many rows, named by another one, without touching updated_at. */
export async function markAll<T>(
  tx: Tx,
  table: Table<T>,
  mark: { readonly column: keyof T & string; readonly value: unknown; readonly by: keyof T & string },
  keys: readonly (string | number)[],
): Promise<void> {
  const column = columnOf(table, mark.column);
  const by = columnOf(table, mark.by).name;
  for (const chunk of chunks(keys, MAX_VARIABLES)) {
    const places = chunk.map((_, index) => `$${index + 2}`).join(", ");
    const sql = `UPDATE "${table.name}" SET "${column.name}" = $1 WHERE "${by}" IN (${places})`;
    await tx.runner.query(sql, [encode(column, mark.value, tx.provider), ...chunk]);
  }
}

function columnOf<T>(table: Table<T>, property: string): Column {
  const column = table.columns[property];
  if (column === undefined) throw new Error(`${table.name} has no column for ${property}`);
  return column;
}

/** Deletes the rows whose column has one of the values, in chunks. */
export async function deleteIn<T>(
  tx: Tx,
  table: Table<T>,
  property: keyof T & string,
  values: readonly (string | number)[],
): Promise<void> {
  const { name } = columnOf(table, property);
  for (const chunk of chunks(values, MAX_VARIABLES)) {
    const places = chunk.map((_, index) => `$${index + 1}`).join(", ");
    await tx.runner.query(`DELETE FROM "${table.name}" WHERE "${name}" IN (${places})`, [...chunk]);
  }
}

export function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}
