import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { DataSource } from "typeorm";
import { isTransient, storeError } from "./errors.js";
import type { Connections, Migrations } from "./connections.js";
import { entities } from "./entities/index.js";
import { SLOW_MS, StatementLogger } from "./logger.js";
import type { StoreLog } from "./logger.js";
import { MIGRATIONS_TABLE } from "./migrations.js";
import type { SqliteSettings } from "./settings.js";
import { pause } from "./pause.js";

const MEMORY = ":memory:";
/** SQLite waits so long by itself for another process's lock, ms; on top, whole transactions are tried again. */
const BUSY_TIMEOUT_MS = 10_000;

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
    if (settings.file !== MEMORY) await useWal(writer, log);
    const reader = settings.file === MEMORY ? writer : await connect(sqliteDataSource(settings, [], log), opened);
    if (reader !== writer) await reader.query("PRAGMA query_only = ON");
    return {
      provider: "sqlite",
      writer,
      reader,
      subject: settings.file,
      begin: { write: "BEGIN IMMEDIATE", read: "BEGIN" },
      single: true,
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
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  try {
    await (await open(file, "wx", 0o600)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** The switch to WAL needs the file alone and does not heed the busy timeout. */
async function useWal(source: DataSource, log: StoreLog): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      const rows = await source.query<{ journal_mode: string }[]>("PRAGMA journal_mode = WAL");
      const mode = rows[0]?.journal_mode ?? "";
      if (mode !== "wal") log({ level: "warn", message: "no WAL on this file system", facts: { mode } });
      return;
    } catch (error) {
      if (!isTransient(storeError(error)) || attempt >= 50) throw error;
      await pause(attempt);
    }
  }
}
