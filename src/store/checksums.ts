import { hash } from "node:crypto";
import type { QueryRunner } from "typeorm";
import type { Connections } from "./connections.js";
import { TABLES } from "./entities/index.js";
import { queryRows } from "./sql.js";

/** What is in one table, so that two databases, or one before and after, can be compared. */
export interface TableChecksum {
  readonly table: string;
  readonly rows: number;
  /** 16 hex digits over all columns of all rows; the order of the rows does not count. */
  readonly checksum: string;
}

/** Rows that are made of a column of another table. */
const DERIVED_TABLES = new Set(["vm_tags", "container_tags", "resource_labels"]);

/** What says nothing of its own: the hash of what was observed, and when a row was derived from another. */
function isDerived(table: string, column: string): boolean {
  return column === "observed_hash" || (DERIVED_TABLES.has(table) && /^(created|updated)_at$/.test(column));
}

/** Rows in memory at once. */
const CHUNK = 1000;

/** Our tables that are there, parents before children, with their columns, sorted. */
async function ownColumns(
  on: Pick<Connections, "provider">,
  runner: QueryRunner,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows =
    on.provider === "sqlite"
      ? await queryRows<{ table: string; name: string }>(
          runner,
          `SELECT m.name AS "table", c.name AS name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`,
        )
      : await queryRows<{ table: string; name: string }>(
          runner,
          `SELECT table_name AS "table", column_name AS name FROM information_schema.columns WHERE table_schema = current_schema()`,
        );
  const columns = new Map<string, string[]>();
  const told = rows.filter(({ table, name }) => !isDerived(table, name));
  for (const { table, name } of told) columns.set(table, [...(columns.get(table) ?? []), name]);
  const names = TABLES.map((table) => table.name).filter((name) => columns.has(name));
  return new Map(names.map((name) => [name, (columns.get(name) ?? []).sort()]));
}

/** What each column of each table holds, so that two schemas can be compared in the columns they share. */
export type ColumnSums = ReadonlyMap<string, { readonly rows: number; readonly columns: ReadonlyMap<string, bigint> }>;

/** One checksum a table, over the columns that `other` has as well. */
export function tableChecksums(sums: ColumnSums, other: ColumnSums = sums): TableChecksum[] {
  return [...sums].flatMap(([table, { rows, columns }]) => {
    const shared = other.get(table)?.columns;
    if (shared === undefined) return [];
    const total = [...columns].reduce((sum, [name, value]) => (shared.has(name) ? sum + value : sum), 0n);
    return [{ table, rows, checksum: BigInt.asUintN(64, total).toString(16).padStart(16, "0") }];
  });
}

/** Reads everything. `runner` is in a transaction, so that all is of one moment. Memory does not grow with the rows. */
export async function columnSums(on: Pick<Connections, "provider">, runner: QueryRunner): Promise<ColumnSums> {
  const sums = new Map<string, { rows: number; columns: Map<string, bigint> }>();
  for (const [table, names] of await ownColumns(on, runner)) {
    const of = { rows: 0, columns: new Map(names.map((name) => [name, 0n])) };
    const chunks = on.provider === "sqlite" ? sqliteRows(runner, table, names) : postgresRows(runner, table, names);
    for await (const chunk of chunks) {
      of.rows += chunk.length;
      for (const row of chunk) addRow(of.columns, table, row);
    }
    sums.set(table, of);
  }
  return sums;
}

const KEYS = new Map(
  TABLES.map((table) => [
    table.name,
    Object.values(table.columns)
      .filter((column) => column.primary)
      .map((column) => column.name),
  ]),
);

/** Each value is hashed with its row's key: two rows that swap their values are another sum. */
function addRow(columns: Map<string, bigint>, table: string, row: TextRow): void {
  const key = (KEYS.get(table) ?? []).map((name) => row[name]);
  for (const [name, sum] of columns) {
    const digest = hash("md5", JSON.stringify([name, key, row[name] ?? null]), "buffer");
    columns.set(name, BigInt.asUintN(64, sum + digest.readBigUInt64BE()));
  }
}

type TextRow = Readonly<Record<string, string | null>>;

/** As text: sqlite3 gives integers as JavaScript numbers, exact to 2^53 only. */
function selection(names: readonly string[]): string {
  return names.map((name) => `CAST("${name}" AS TEXT) AS "${name}"`).join(", ");
}

async function* sqliteRows(runner: QueryRunner, table: string, names: readonly string[]): AsyncGenerator<TextRow[]> {
  let last = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const sql = `SELECT rowid AS place, ${selection(names)} FROM "${table}" WHERE rowid > ${last} ORDER BY rowid LIMIT ${CHUNK}`;
    const rows = await queryRows<TextRow & { place: number }>(runner, sql);
    const end = rows.at(-1);
    if (end === undefined) return;
    yield rows;
    last = end.place;
  }
}

async function* postgresRows(runner: QueryRunner, table: string, names: readonly string[]): AsyncGenerator<TextRow[]> {
  await runner.query(`DECLARE sums NO SCROLL CURSOR FOR SELECT ${selection(names)} FROM "${table}"`);
  for (;;) {
    const rows = await queryRows<TextRow>(runner, `FETCH ${CHUNK} FROM sums`);
    if (rows.length === 0) break;
    yield rows;
  }
  await runner.query("CLOSE sums");
}
