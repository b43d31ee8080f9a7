import type { EventLog, Leases, ResourceStore, TaskLog } from "../apply/types.js";
import type { History, StateStore } from "../history/types.js";
import { openAdminWith } from "./admin.js";
import type { DatabaseAdmin } from "./admin.js";
import { ProxmoorError } from "../model/errors.js";
import type { Connections, Migrations } from "./connections.js";
import { Database } from "./database.js";
import type { Units } from "./database.js";
import { SqlEventLog } from "./event-log.js";
import { SqlHistory } from "./history.js";
import { SqlLeases, fenced } from "./leases.js";
import type { Fence } from "./leases.js";
import type { StoreLog } from "./logger.js";
import { migrate } from "./migrate.js";
import { MIGRATIONS } from "./migrations.js";
import { openPostgresql } from "./postgres.js";
import { restoreDatabase } from "./restore.js";
import type { Restored } from "./restore.js";
import { repositoriesOf } from "./repositories/index.js";
import type { Repositories } from "./repositories/types.js";
import { SqlResourceStore } from "./resource-store.js";
import { SqlRevisionStore } from "./revision-store.js";
import type { RevisionStore } from "./revision-store.js";
import { seedDays } from "./seed.js";
import type { SeedProfile } from "./seed.js";
import type { StoreSettings } from "./settings.js";
import { openSqlite } from "./sqlite.js";
import { SqlStateStore } from "./state-store.js";
import { SqlTaskLog } from "./task-log.js";

export { parseDatabaseUrl } from "./settings.js";
export type { StoreSettings } from "./settings.js";
export type { StoreEvent } from "./logger.js";
export type { DatabaseAdmin } from "./admin.js";
export type { TableChecksum } from "./checksums.js";
export type { SchemaChange } from "./migrate.js";
export { SEED_PROFILES } from "./seed.js";
export type { SeedProfile } from "./seed.js";

/** What is kept, by subject. */
export interface StoreParts {
  readonly tasks: TaskLog;
  readonly resources: ResourceStore;
  readonly leases: Leases;
  readonly events: EventLog;
  readonly state: StateStore;
  readonly revisions: RevisionStore;
  readonly history: History;
  readonly lists: Repositories;
  /** All of `work` in one transaction: any error takes it back whole. It may begin again, see Database. */
  transaction<T>(work: (lists: Repositories) => Promise<T>): Promise<T>;
}

/** The open database. All calls are safe at once, from several programs as well. */
export interface Store extends StoreParts {
  /** The same for the holder of a lease: its writes throw DB_FENCED once another holder has taken it. */
  fenced(fence: Fence): StoreParts;
  /** The backup that was made before this opening migrated the schema. */
  readonly backupFile?: string;
  /** Ends what runs, then closes the connections. Closing twice is fine. */
  close(): Promise<void>;
}

export interface StoreOptions {
  /** The clock, UTC milliseconds: for created_at and updated_at, and the names of backups. */
  readonly now: () => number;
  readonly log?: StoreLog;
}

/**
 * Opens the database, makes it where it is a new SQLite file, and migrates it to this program's schema, with a backup
 * first where it holds data. Throws ProxmoorError with the DB_ codes; nothing stays open then.
 */
export function openStore(settings: StoreSettings, options: StoreOptions): Promise<Store> {
  return openStoreWith(MIGRATIONS, settings, options);
}

/** The care of the database, without migrating it. `make`: a SQLite file that is missing is made. */
export function openAdmin(
  settings: StoreSettings,
  options: StoreOptions & { readonly make?: boolean },
): Promise<DatabaseAdmin> {
  return openAdminWith(settings, { ...adminOptions(settings, options), make: options.make === true });
}

/**
 * Fills an empty database with a made-up cluster and its history, the same rows for the same number. Throws
 * DB_NOT_EMPTY where it holds nodes already.
 */
export async function seed(
  settings: StoreSettings,
  what: { readonly profile: SeedProfile; readonly seed: number },
  log?: StoreLog,
): Promise<void> {
  const days = seedDays(what.profile, what.seed);
  let now = 0;
  const store = await openStore(settings, { now: () => now, ...(log === undefined ? {} : { log }) });
  try {
    if ((await store.lists.nodes.count()) > 0) {
      throw new ProxmoorError("DB_NOT_EMPTY", "The database holds a cluster already", {
        remedy: "Name an empty one with --database, or empty this one with `proxmoor db reset`.",
      });
    }
    for (const { observed, tasks, resources } of days) {
      now = observed.takenAt;
      await store.tasks.observe(tasks);
      await store.state.sync(observed);
      for (const resource of resources) await store.resources.save(resource);
    }
  } finally {
    await store.close();
  }
}

/** Puts a backup in the database's place; see restoreDatabase. */
export function restore(settings: StoreSettings, file: string, options: StoreOptions): Promise<Restored> {
  return restoreDatabase(settings, file, adminOptions(settings, options));
}

function adminOptions(settings: StoreSettings, { now, log = () => undefined }: StoreOptions) {
  return { migrations: MIGRATIONS, backupFolder: settings.backupFolder, now, log };
}

/** openStore with another history of migrations, for tests of upgrades. */
export async function openStoreWith(
  migrations: Migrations,
  settings: StoreSettings,
  options: StoreOptions,
): Promise<Store> {
  const log = options.log ?? (() => undefined);
  const connections = await connect(settings, migrations, log);
  const database = new Database(connections, options.now);
  try {
    const migrated = await migrate(connections, { backupFolder: settings.backupFolder, now: options.now, log });
    return {
      ...partsOf(database),
      ...migrated,
      fenced: (fence) => partsOf(fenced(database, fence)),
      close: () => database.close(),
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

function connect(settings: StoreSettings, migrations: Migrations, log: StoreLog): Promise<Connections> {
  return settings.provider === "sqlite"
    ? openSqlite(settings, migrations, log)
    : openPostgresql(settings, migrations, log);
}

function partsOf(database: Units): StoreParts {
  return {
    tasks: new SqlTaskLog(database),
    resources: new SqlResourceStore(database),
    leases: new SqlLeases(database),
    events: new SqlEventLog(database),
    state: new SqlStateStore(database),
    revisions: new SqlRevisionStore(database),
    history: new SqlHistory(database),
    lists: repositoriesOf(database),
    transaction: (work) =>
      database.write((tx) => work(repositoriesOf({ read: (inner) => inner(tx), write: (inner) => inner(tx) }))),
  };
}
