import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import sqlite3 from "sqlite3";
import type { Connections, Migrations } from "../../src/store/connections.js";
import { Database } from "../../src/store/database.js";
import { openStoreWith } from "../../src/store/index.js";
import type { Store, StoreOptions, StoreSettings } from "../../src/store/index.js";
import { MIGRATIONS } from "../../src/store/migrations.js";
import { openPostgresql } from "../../src/store/postgres.js";
import { openSqlite } from "../../src/store/sqlite.js";
import { postgresUrl } from "./postgres.js";

type Provider = StoreSettings["provider"];

/** An empty database of a test's own, and a folder for its backups. */
export interface TestDatabase {
  readonly provider: Provider;
  readonly settings: StoreSettings;
  readonly folder: string;
  /** Opens it, by default with a clock that stands at 2026-01-02T03:04:05.678Z. Closed after the test. */
  open(
    options?: Partial<StoreOptions> & { migrations?: Migrations; settings?: Partial<StoreSettings> },
  ): Promise<Store>;
  /** Its bare connections, not migrated. Closed after the test. */
  connect(migrations?: Migrations): Promise<Connections>;
  /** Runs SQL beside the store and gives the rows. */
  sql(text: string): Promise<Record<string, unknown>[]>;
}

export const NOW = Date.parse("2026-01-02T03:04:05.678Z");

/** Runs a suite on SQLite and on PostgreSQL (or on one, what only it has). `database()` gives each test a fresh one. */
export function describeStore(
  name: string,
  suite: (database: () => Promise<TestDatabase>) => void,
  providers: readonly Provider[] = ["sqlite", "postgresql"],
): void {
  for (const provider of providers) {
    describe(`${name} (${provider})`, () => {
      const cleanups: (() => Promise<void>)[] = [];
      afterEach(async () => {
        for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
      });
      suite(() => makeDatabase(provider, cleanups));
    });
  }
}

async function makeDatabase(provider: Provider, cleanups: (() => Promise<void>)[]): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), "proxmoor-store-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const settings: StoreSettings =
    provider === "sqlite"
      ? { provider, file: join(folder, "proxmoor.db") }
      : { provider, url: await createDatabase(cleanups), backupFolder: folder };
  return {
    provider,
    settings,
    folder,
    open: async ({ migrations = MIGRATIONS, settings: more, ...options } = {}) => {
      const all = { ...settings, ...more } as StoreSettings;
      const store = await openStoreWith(migrations, all, { now: () => NOW, ...options });
      cleanups.push(() => store.close());
      return store;
    },
    connect: async (migrations = MIGRATIONS) => {
      const log = (): void => undefined;
      const connections = await (settings.provider === "sqlite"
        ? openSqlite(settings, migrations, log)
        : openPostgresql(settings, migrations, log));
      cleanups.push(() => new Database(connections, () => NOW).close());
      return connections;
    },
    sql: (text) =>
      settings.provider === "sqlite" ? sqliteQuery(settings.file, text) : postgresQuery(settings.url, text),
  };
}

async function createDatabase(cleanups: (() => Promise<void>)[]): Promise<string> {
  const maintenance = await postgresUrl();
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await postgresQuery(maintenance, `CREATE DATABASE ${name}`);
  cleanups.push(async () => {
    await postgresQuery(maintenance, `DROP DATABASE ${name} WITH (FORCE)`);
  });
  return Object.assign(new URL(maintenance), { pathname: `/${name}` }).href;
}

export async function postgresQuery(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(sql);
    return result.rows;
  } finally {
    await client.end();
  }
}

/** On a connection of its own, as another program would. */
export async function sqliteQuery(file: string, sql: string): Promise<Record<string, unknown>[]> {
  const connection = await new Promise<sqlite3.Database>((resolve, reject) => {
    const opened = new sqlite3.Database(file, (error) => (error === null ? resolve(opened) : reject(error)));
  });
  try {
    return await new Promise((resolve, reject) =>
      connection.all<Record<string, unknown>>(sql, (error, rows) => (error === null ? resolve(rows) : reject(error))),
    );
  } finally {
    await new Promise((resolve) => connection.close(resolve));
  }
}
