import type { QueryRunner, SelectQueryBuilder } from "typeorm";
import { Parameters, decodeRow, placeOf } from "./codec.js";
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

/** Lets one transaction at a time past this point; in SQLite there is one writer anyway. */
export async function serialise(tx: Tx, what: string): Promise<void> {
  if (tx.provider === "postgresql") await tx.runner.query("SELECT pg_advisory_xact_lock(hashtext($1))", [what]);
}

interface InsertOptions {
  /** What happens to a row whose primary key is there already; left out: DB_DUPLICATE. */
  readonly onConflict?: "update" | "nothing";
  /** Rows have the numbers that the database would give. */
  readonly withIds?: boolean;
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
  const columns = Object.entries(table.columns).filter(([, column]) => options.withIds === true || !column.generated);
  const size = Math.min(MAX_ROWS, Math.floor(MAX_VARIABLES / columns.length));
  for (const chunk of chunks(records, size)) {
    const { sql, values } = insertStatement(tx, table, columns, chunk);
    await tx.runner.query(`${sql}${conflictClause(table.name, columns, options)}`, values);
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
  const parameters = new Parameters(tx.provider);
  for (const record of records) {
    for (const [property, column] of columns) {
      const isStamp = property === "createdAt" || property === "updatedAt";
      parameters.add(column, isStamp ? tx.now : (record as Row)[property]);
    }
  }
  const sql = statementText(tx.provider, { table: table.name, columns, rows: records.length });
  return { sql, values: parameters.values };
}

/** The text of the last large statement: a stream of rows is one text over and over. */
let lastText: { readonly key: string; readonly sql: string } | undefined;

function statementText(
  provider: Provider,
  of: {
    readonly table: string;
    readonly columns: readonly (readonly [string, Column])[];
    readonly rows: number;
  },
): string {
  const key = `${provider} ${of.table} ${of.columns.length} ${of.rows}`;
  if (lastText?.key === key) return lastText.sql;
  const width = of.columns.length;
  const tuple = (_: unknown, row: number): string => {
    const places = of.columns.map((__, at) => placeOf(provider, row * width + at + 1));
    return `(${places.join(", ")})`;
  };
  const names = of.columns.map(([, column]) => `"${column.name}"`).join(", ");
  const tuples = Array.from({ length: of.rows }, tuple).join(", ");
  const sql = `INSERT INTO "${of.table}" (${names}) VALUES ${tuples}`;
  lastText = { key, sql };
  return sql;
}

/** updated_at only grows, also within one millisecond, so that it tells two states of a row apart. */
function later(before: string, now: string): string {
  return `CASE WHEN ${before} >= ${now} THEN ${before} + 1 ELSE ${now} END`;
}

function conflictClause(name: string, columns: readonly (readonly [string, Column])[], options: InsertOptions): string {
  if (options.onConflict === undefined) return "";
  const keys = columns.filter(([, column]) => column.primary).map(([, column]) => `"${column.name}"`);
  if (options.onConflict === "nothing") return ` ON CONFLICT (${keys.join(", ")}) DO NOTHING`;
  const set = columns
    .filter(([property, column]) => !column.primary && property !== "createdAt" && property !== "updatedAt")
    .map(([, column]) => `"${column.name}" = EXCLUDED."${column.name}"`);
  set.push(`"updated_at" = ${later(`"${name}"."updated_at"`, 'EXCLUDED."updated_at"')}`);
  return ` ON CONFLICT (${keys.join(", ")}) DO UPDATE SET ${set.join(", ")}`;
}

/** Changes columns of the rows whose columns equal `key`; gives how many rows. An undefined value sets NULL. */
export async function updateWhere<T>(tx: Tx, table: Table<T>, changes: Changes<T>, key: Partial<T>): Promise<number> {
  const parameters = new Parameters(tx.provider);
  // The transaction's time is a whole number of ours, no text of anybody's.
  const stamp = `"updated_at" = ${later('"updated_at"', String(Math.trunc(tx.now)))}`;
  const set = [...equalities(table, changes, parameters), stamp].join(", ");
  const where = equalities(table, key, parameters).join(" AND ");
  const result = await tx.runner.query(`UPDATE "${table.name}" SET ${set} WHERE ${where}`, parameters.values, true);
  return result.affected ?? 0;
}

/** Sets one column of many rows, named by another one. updated_at stays: what the rows say has not changed. */
export async function markAll<T>(
  tx: Tx,
  table: Table<T>,
  mark: { readonly column: keyof T & string; readonly value: unknown; readonly by: keyof T & string },
  keys: readonly (string | number)[],
): Promise<void> {
  const column = columnOf(table, mark.column);
  if (keys.length === 0) return;
  const parameters = new Parameters(tx.provider);
  const value = parameters.add(column, mark.value);
  const among = inList(tx, columnOf(table, mark.by), { keys, parameters });
  await tx.runner.query(`UPDATE "${table.name}" SET "${column.name}" = ${value} WHERE ${among}`, parameters.values);
}

/** `column IN keys` with one parameter for all of them: 10,000 single ones take longer to read than to use. */
function inList(
  tx: Tx,
  column: Column,
  { keys, parameters }: { readonly keys: readonly (string | number)[]; readonly parameters: Parameters },
): string {
  const place = parameters.addList(keys);
  return tx.provider === "sqlite"
    ? `"${column.name}" IN (SELECT value FROM json_each(${place}))`
    : `"${column.name}" = ANY(${place})`;
}

/** `"column" = ?` for each field; undefined is NULL, to set, never to compare. */
function equalities<T>(table: Table<T>, fields: object, parameters: Parameters): string[] {
  return Object.entries(fields).map(([property, value]) => {
    const column = columnOf(table, property);
    return `"${column.name}" = ${parameters.add(column, value)}`;
  });
}

function columnOf<T>(table: Table<T>, property: string): Column {
  const column = table.columns[property];
  if (column === undefined) throw new Error(`${table.name} has no column for ${property}`);
  return column;
}

/** Deletes the rows whose columns equal `key`. */
export async function deleteWhere<T>(tx: Tx, table: Table<T>, key: Partial<T>): Promise<void> {
  const parameters = new Parameters(tx.provider);
  const where = equalities(table, key, parameters).join(" AND ");
  await tx.runner.query(`DELETE FROM "${table.name}" WHERE ${where}`, parameters.values);
}

/** Deletes the rows whose column has one of the values. */
export async function deleteIn<T>(
  tx: Tx,
  table: Table<T>,
  property: keyof T & string,
  values: readonly (string | number)[],
): Promise<void> {
  if (values.length === 0) return;
  const parameters = new Parameters(tx.provider);
  const among = inList(tx, columnOf(table, property), { keys: values, parameters });
  await tx.runner.query(`DELETE FROM "${table.name}" WHERE ${among}`, parameters.values);
}

export function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

/** The record in a row, without what only the store needs. */
export function unstamped<T>(row: T & Stamps & { readonly observedHash?: string }): T {
  const { createdAt: _created, updatedAt: _updated, observedHash: _hash, ...record } = row;
  return record as unknown as T;
}

/** After rows came with numbers of their own the database's go on after them; SQLite does so by itself. */
export async function continueNumbers(tx: Pick<Tx, "runner" | "provider">, table: string): Promise<void> {
  if (tx.provider === "sqlite") return;
  const sequence = `pg_get_serial_sequence('"${table}"', 'id')`;
  await tx.runner.query(`SELECT setval(${sequence}, COALESCE(MAX(id), 1), MAX(id) IS NOT NULL) FROM "${table}"`);
}
