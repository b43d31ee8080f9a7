import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { openStore } from "../../src/store/index.js";
import type { Store, StoreOptions, StoreSettings } from "../../src/store/index.js";
import { postgresUrl } from "./postgres.js";

type Provider = StoreSettings["provider"];

/** An empty database of a test's own, and a folder for its backups. */
export interface TestDatabase {
  readonly provider: Provider;
  readonly settings: StoreSettings;
  readonly folder: string;
  /** Opens it, by default with a clock that stands at 2026-01-02T03:04:05.678Z. Closed after the test. */
  open(options?: Partial<StoreOptions>): Promise<Store>;
}

export const NOW = Date.parse("2026-01-02T03:04:05.678Z");

/** Runs a suite on SQLite and on PostgreSQL. `database()` gives each test a fresh database. */
export function describeStore(name: string, suite: (database: () => Promise<TestDatabase>) => void): void {
  for (const provider of ["sqlite", "postgresql"] as const) {
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
    open: async (options = {}) => {
      const store = await openStore(settings, { now: () => NOW, ...options });
      cleanups.push(() => store.close());
      return store;
    },
  };
}

async function createDatabase(cleanups: (() => Promise<void>)[]): Promise<string> {
  const maintenance = await postgresUrl();
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await command(maintenance, `CREATE DATABASE ${name}`);
  cleanups.push(() => command(maintenance, `DROP DATABASE ${name} WITH (FORCE)`));
  return Object.assign(new URL(maintenance), { pathname: `/${name}` }).href;
}

/** Runs SQL on a PostgreSQL server, beside the store. */
async function command(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
