import { mkdir, open, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { QueryRunner } from "typeorm";
import { DataSource } from "typeorm";
import { ProxmoorError, messageOf } from "../model/errors.js";
import type { Connections } from "./connections.js";
import { TABLES } from "./entities/index.js";
import { storeError } from "./errors.js";
import type { StoreLog } from "./logger.js";
import { MIGRATIONS_TABLE } from "./migrations.js";
import { pgDump } from "./pg-dump.js";
import { queryRows } from "./sql.js";

export interface BackupOptions {
  readonly backupFolder: string | undefined;
  readonly now: () => number;
  readonly log: StoreLog;
}

/** Rows of a logical dump that are in memory at once. */
const DUMP_ROWS = 1000;

/**
 * Writes a consistent copy and gives its path; undefined for a database in memory. `runner` holds the database's lock
 * (see migrate), so nothing is written between the copy and the migration. Files have mode 0600.
 */
export async function backUp(
  on: Connections,
  runner: QueryRunner,
  options: BackupOptions,
): Promise<string | undefined> {
  if (on.provider === "sqlite" && on.reader === on.writer) return undefined;
  try {
    return on.provider === "sqlite" ? await copySqlite(on, options) : await dumpPostgresql(on, runner, options);
  } catch (error) {
    const fault = storeError(error, on.subject);
    throw new ProxmoorError(
      fault.code === "DB_FULL" || fault.code === "DB_CORRUPT" ? fault.code : "DB_MIGRATION",
      `The backup before the migration failed: ${messageOf(fault.cause ?? error)}`,
      {
        subject: on.subject,
        remedy: "Nothing was migrated. Make room, or set a folder for backups that this user may write to.",
        cause: fault.cause,
      },
    );
  }
}

async function copySqlite(on: Connections, options: BackupOptions): Promise<string> {
  const file = on.subject;
  const target = await reserve(options.backupFolder ?? dirname(file), basename(file), "", options.now());
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
  const folder = options.backupFolder ?? join(homedir(), ".local", "share", "proxmoor", "backups");
  const name = basename(on.subject);
  await lockTables(runner);
  if (on.dump !== undefined) {
    const target = await reserve(folder, name, ".sql", options.now());
    const refusal = await pgDump(on.dump, target);
    if (refusal === undefined) return target;
    await rm(target, { force: true });
    options.log({ level: "info", message: "pg_dump was of no use, dumping by ourselves", facts: { reason: refusal } });
  }
  const target = await reserve(folder, name, ".jsonl", options.now());
  try {
    await dumpRows(runner, target);
    return target;
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
}

/** EXCLUSIVE lets readers (pg_dump) in and keeps writers out until the migration is through. */
async function lockTables(runner: QueryRunner): Promise<void> {
  const names = await ownTables(runner);
  await runner.query(`LOCK TABLE ${names.map((name) => `"${name}"`).join(", ")} IN EXCLUSIVE MODE`);
}

/** One JSON object a line: `{"table": …, "row": {…}}`, parents before children; numbers as PostgreSQL prints them. */
async function dumpRows(runner: QueryRunner, target: string): Promise<void> {
  const handle = await open(target, "w", 0o600);
  try {
    for (const table of await ownTables(runner)) {
      await runner.query(`DECLARE dump NO SCROLL CURSOR FOR SELECT row_to_json(r)::text AS line FROM "${table}" r`);
      for (;;) {
        const rows = await queryRows<{ line: string }>(runner, `FETCH ${DUMP_ROWS} FROM dump`);
        if (rows.length === 0) break;
        await handle.write(rows.map((row) => `{"table":${JSON.stringify(table)},"row":${row.line}}\n`).join(""));
      }
      await runner.query("CLOSE dump");
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function ownTables(runner: QueryRunner): Promise<string[]> {
  const rows = await queryRows<{ name: string }>(
    runner,
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()`,
  );
  const present = new Set(rows.map((row) => row.name));
  return [MIGRATIONS_TABLE, ...TABLES.map((table) => table.name)].filter((name) => present.has(name));
}

/** An empty file NAME.backup-TIME in the folder that nobody else has. */
async function reserve(folder: string, name: string, suffix: string, now: number): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const time = new Date(now).toISOString().replaceAll(/[-:.]/g, "");
  for (let attempt = 1; ; attempt++) {
    const path = join(folder, `${name}.backup-${time}${attempt === 1 ? "" : `-${attempt}`}${suffix}`);
    try {
      await (await open(path, "wx", 0o600)).close();
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt >= 100) throw error;
    }
  }
}
