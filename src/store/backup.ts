import { createHash } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { QueryRunner } from "typeorm";
import { DataSource } from "typeorm";
import { ProxmoorError, messageOf } from "../model/errors.js";
import type { ErrorCode } from "../model/errors.js";
import type { Connections } from "./connections.js";
import { TABLES } from "./entities/index.js";
import { storeError } from "./errors.js";
import type { StoreLog } from "./logger.js";
import { MIGRATIONS_TABLE } from "./migrations.js";
import { pgDump } from "./pg-dump.js";
import { queryRows } from "./sql.js";
import { makeFolder } from "./folders.js";

export interface BackupOptions {
  /** Where backups go, named by the time; undefined: the default of the provider. */
  readonly backupFolder: string | undefined;
  /** The very file instead, which must not be there yet. */
  readonly file?: string;
  readonly now: () => number;
  readonly log: StoreLog;
}

/** Rows of a logical dump that are in memory at once. */
const DUMP_ROWS = 1000;

/** The first line of a logical dump; the last one is a DumpEnd. */
export const DUMP_HEAD = '{"proxmoor":"database dump","version":1}';

/** How one knows that a dump is whole. */
export interface DumpEnd {
  readonly end: { readonly rows: number; readonly sha256: string };
}

/**
 * Writes a consistent copy and gives its path; undefined for a database in memory. `runner` is in a transaction:
 * PostgreSQL's rows are read by it where pg_dump is of no use. Files have mode 0600. Throws what the database or the
 * file system threw.
 */
export async function backUp(
  on: Connections,
  runner: QueryRunner,
  options: BackupOptions,
): Promise<string | undefined> {
  if (on.provider === "sqlite" && on.reader === on.writer) return undefined;
  return on.provider === "sqlite" ? copySqlite(on, options) : dumpPostgresql(on, runner, options);
}

/** What to tell of a backup that failed: what the surroundings are to blame for keeps its code. */
export function backupError(error: unknown, subject: string, as: { code: ErrorCode; text: string; remedy: string }) {
  const fault = storeError(error, subject);
  const code = fault.code === "DB_FULL" || fault.code === "DB_CORRUPT" ? fault.code : as.code;
  const details = { subject, remedy: as.remedy, cause: fault.cause };
  return new ProxmoorError(code, `${as.text}: ${messageOf(fault.cause ?? error)}`, details);
}

async function copySqlite(on: Connections, options: BackupOptions): Promise<string> {
  const file = on.subject;
  const target = await reserve(options, { folder: dirname(file), name: basename(file), suffix: "" });
  // A connection of its own: VACUUM INTO reads the last committed state while the lock is held by another.
  const copier = new DataSource({ type: "sqlite", database: file });
  try {
    await copier.initialize();
    // Into an empty file that is 0600 already, since VACUUM INTO would make it readable for all.
    await copier.query(`VACUUM INTO '${target.replaceAll("'", "''")}'`);
    return target;
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  } finally {
    if (copier.isInitialized) await copier.destroy();
  }
}

async function dumpPostgresql(on: Connections, runner: QueryRunner, options: BackupOptions): Promise<string> {
  const place = { folder: join(homedir(), ".local", "share", "proxmoor", "backups"), name: basename(on.subject) };
  if (on.dump !== undefined) {
    const target = await reserve(options, { ...place, suffix: ".sql" });
    const refusal = await pgDump(on.dump, await ownTables(runner), target);
    if (refusal === undefined) return target;
    await rm(target, { force: true });
    options.log({ level: "info", message: "pg_dump was of no use, dumping by ourselves", facts: { reason: refusal } });
  }
  const target = await reserve(options, { ...place, suffix: ".jsonl" });
  try {
    await dumpRows(runner, target);
    return target;
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
}

/** EXCLUSIVE lets readers (pg_dump) in and keeps writers out until the migration is through. */
export async function lockTables(runner: QueryRunner): Promise<void> {
  const names = await ownTables(runner);
  await runner.query(`LOCK TABLE ${names.map((name) => `"${name}"`).join(", ")} IN EXCLUSIVE MODE`);
}

/**
 * One JSON object a line: the head, `{"table": …, "row": {…}}` with parents before children and numbers as PostgreSQL
 * prints them, and the end with a sum over all lines before it.
 */
async function dumpRows(runner: QueryRunner, target: string): Promise<void> {
  const handle = await open(target, "w", 0o600);
  const sum = createHash("sha256");
  let count = 0;
  const write = async (text: string) => {
    sum.update(text);
    await handle.write(text);
  };
  try {
    await write(`${DUMP_HEAD}\n`);
    for (const table of await ownTables(runner)) {
      await runner.query(`DECLARE dump NO SCROLL CURSOR FOR SELECT row_to_json(r)::text AS line FROM "${table}" r`);
      for (;;) {
        const rows = await queryRows<{ line: string }>(runner, `FETCH ${DUMP_ROWS} FROM dump`);
        if (rows.length === 0) break;
        count += rows.length;
        await write(rows.map((row) => `{"table":${JSON.stringify(table)},"row":${row.line}}\n`).join(""));
      }
      await runner.query("CLOSE dump");
    }
    const end: DumpEnd = { end: { rows: count, sha256: sum.digest("hex") } };
    await handle.write(`${JSON.stringify(end)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Ours that are there, the list of migrations first, parents before children. */
export async function ownTables(runner: QueryRunner): Promise<string[]> {
  const rows = await queryRows<{ name: string }>(
    runner,
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()`,
  );
  const present = new Set(rows.map((row) => row.name));
  return [MIGRATIONS_TABLE, ...TABLES.map((table) => table.name)].filter((name) => present.has(name));
}

/** An empty file that nobody else has: the one asked for, or NAME.backup-TIME in the folder. */
async function reserve(
  options: BackupOptions,
  place: { readonly folder: string; readonly name: string; readonly suffix: string },
): Promise<string> {
  const folder = options.file === undefined ? (options.backupFolder ?? place.folder) : dirname(options.file);
  await makeFolder(folder);
  const time = new Date(options.now()).toISOString().replaceAll(/[-:.]/g, "");
  for (let attempt = 1; ; attempt++) {
    const name = `${place.name}.backup-${time}${attempt === 1 ? "" : `-${attempt}`}${place.suffix}`;
    const path = options.file ?? join(folder, name);
    try {
      await (await open(path, "wx", 0o600)).close();
      return path;
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === "EEXIST";
      if (!isTaken || options.file !== undefined || attempt >= 100) throw error;
    }
  }
}
