import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { DataSource } from "typeorm";
import { isTransient, storeError } from "./errors.js";
import type { Connections, Migrations } from "./connections.js";
import { entities } from "./entities/index.js";
import { SLOW_MS, StatementLogger } from "./logger.js";
import type { StoreLog } from "./logger.js";
import { MIGRATIONS_TABLE } from "./migrations.js";
import { LOCK_WAIT_MS } from "./settings.js";
import type { SqliteSettings } from "./settings.js";
import { pauseForLock } from "./pause.js";
import { makeFolder } from "./folders.js";

const MEMORY = ":memory:";
/**
 * SQLite waits so long by itself for another process's lock, ms; then the transaction is tried again, up to lockWaitMs.
 * Short, since each wait blocks one of libuv's four threads: five connections that waited 10 s each kept the holder of
 * the lock from going on.
 */
const BUSY_TIMEOUT_MS = 100;

/** Opens the file (made with mode 0600 where it is new) with a writing and a reading connection. */
export async function openSqlite(
  settings: SqliteSettings,
  migrations: Migrations,
  log: StoreLog,
): Promise<Connections> {
  const opened: DataSource[] = [];
  try {
    if (settings.file !== MEMORY) await createPrivately(settings.file);
    const writer = await connect(sqliteDataSource(settings, migrations, log), opened);
    if (settings.file !== MEMORY) await useWal(writer, settings.lockWaitMs ?? LOCK_WAIT_MS, log);
    const reader = settings.file === MEMORY ? writer : await connect(sqliteDataSource(settings, [], log), opened);
    if (reader !== writer) await reader.query("PRAGMA query_only = ON");
    return {
      provider: "sqlite",
      writer,
      reader,
      subject: settings.file,
      begin: { write: "BEGIN IMMEDIATE", read: "BEGIN" },
      single: true,
      lockWaitMs: settings.lockWaitMs ?? LOCK_WAIT_MS,
    };
  } catch (error) {
    await Promise.all(opened.map((source) => source.destroy().catch(() => undefined)));
    throw storeError(error, settings.file);
  }
}

export function sqliteDataSource(settings: SqliteSettings, migrations: Migrations, log: StoreLog): DataSource {
  return new DataSource({
    type: "sqlite",
    database: settings.file,
    entities: entities("sqlite"),
    migrations: [...migrations],
    migrationsTableName: MIGRATIONS_TABLE,
    logger: new StatementLogger(log, settings.logging === true),
    logging: "all",
    maxQueryExecutionTime: SLOW_MS,
  });
}

async function connect(source: DataSource, opened: DataSource[]): Promise<DataSource> {
  await source.initialize();
  opened.push(source);
  await source.query(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return source;
}

async function createPrivately(file: string): Promise<void> {
  await makeFolder(dirname(file));
  try {
    await (await open(file, "wx", 0o600)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** The switch to WAL needs the file alone and does not heed the busy timeout. */
async function useWal(source: DataSource, lockWaitMs: number, log: StoreLog): Promise<void> {
  const deadline = performance.now() + lockWaitMs;
  for (let attempt = 1; ; attempt++) {
    try {
      const rows = await source.query<{ journal_mode: string }[]>("PRAGMA journal_mode = WAL");
      const mode = rows[0]?.journal_mode ?? "";
      if (mode !== "wal") log({ level: "warn", message: "no WAL on this file system", facts: { mode } });
      return;
    } catch (error) {
      if (!isTransient(storeError(error)) || performance.now() >= deadline) throw error;
      await pauseForLock(attempt);
    }
  }
}
