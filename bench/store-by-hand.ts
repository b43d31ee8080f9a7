import { Client } from "pg";
import sqlite3 from "sqlite3";
import type { StoreSettings } from "../src/store/index.js";
import { postgresQuery, sqliteQuery } from "../test/support/database.js";

type Row = Record<string, unknown>;

/** The rows of a table as the driver gives them. */
interface TableRows {
  readonly table: string;
  readonly rows: readonly Row[];
}

const TABLES = ["nodes", "vms", "vm_tags", "state_snapshots"];
/** What is quickest for both (see MAX_ROWS in src/store/rows.ts). */
const CHUNK = 500;

export async function readRows(settings: StoreSettings): Promise<TableRows[]> {
  const all: TableRows[] = [];
  for (const table of TABLES) {
    const sql = `SELECT * FROM "${table}"`;
    const rows = await (settings.provider === "sqlite"
      ? sqliteQuery(settings.file, sql)
      : postgresQuery(settings.url, sql));
    all.push({ table, rows });
  }
  return all;
}

/** The same inserts as one would write them by hand: one transaction, 500 rows a statement. Gives ms. */
export async function copyRows(settings: StoreSettings, tables: readonly TableRows[]): Promise<number> {
  const connection = await (settings.provider === "sqlite"
    ? sqliteConnection(settings.file)
    : postgresConnection(settings.url));
  const begun = performance.now();
  await connection.run("BEGIN", []);
  for (const { table, rows } of tables) {
    const columns = Object.keys(rows[0] ?? {});
    for (let at = 0; at < rows.length; at += CHUNK) {
      const chunk = rows.slice(at, at + CHUNK);
      const values = chunk.flatMap((row) => columns.map((column) => plain(row[column])));
      const tuples = chunk.map(
        (_, row) => `(${columns.map((__, of) => connection.place(row * columns.length + of)).join(", ")})`,
      );
      const names = columns.map((column) => `"${column}"`).join(", ");
      await connection.run(`INSERT INTO "${table}" (${names}) VALUES ${tuples.join(", ")}`, values);
    }
  }
  await connection.run("COMMIT", []);
  const took = performance.now() - begun;
  await connection.end();
  return took;
}

/** pg parses JSON columns. */
function plain(value: unknown): unknown {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

interface Connection {
  run(sql: string, values: unknown[]): Promise<unknown>;
  place(at: number): string;
  end(): Promise<unknown>;
}

async function sqliteConnection(file: string): Promise<Connection> {
  const opened = await new Promise<sqlite3.Database>((resolve, reject) => {
    const connection = new sqlite3.Database(file, (error) => (error === null ? resolve(connection) : reject(error)));
  });
  const run = (sql: string, values: unknown[]) =>
    new Promise<void>((resolve, reject) =>
      opened.run(sql, values, (error: Error | null) => (error === null ? resolve() : reject(error))),
    );
  await run("PRAGMA foreign_keys = ON", []);
  return { run, place: () => "?", end: () => new Promise((resolve) => opened.close(resolve)) };
}

async function postgresConnection(url: string): Promise<Connection> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return {
    run: (sql, values) => client.query(sql, values),
    place: (at) => `$${at + 1}`,
    end: () => client.end(),
  };
}
