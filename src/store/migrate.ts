import { MigrationExecutor } from "typeorm";
import type { DataSource, QueryRunner } from "typeorm";
import { ProxmoorError, messageOf } from "../model/errors.js";
import type { ErrorCode } from "../model/errors.js";
import { backUp, backupError, lockTables } from "./backup.js";
import { columnSums, tableChecksums } from "./checksums.js";
import type { TableChecksum } from "./checksums.js";
import type { Connections } from "./connections.js";
import { isTransient, storeError } from "./errors.js";
import type { StoreLog } from "./logger.js";
import { MIGRATIONS_TABLE } from "./migrations.js";
import { pauseForLock } from "./pause.js";
import { queryRows } from "./sql.js";

export interface MigrateOptions {
  /** Where backups go; undefined: the default of the provider. */
  readonly backupFolder: string | undefined;
  readonly now: () => number;
  readonly log: StoreLog;
}

/**
 * Brings the schema to the program's version: all pending migrations in one transaction that holds the database's
 * lock, so that of two programs that start at once one migrates and the other finds it done, and an interrupted run
 * leaves the old schema. A database that holds data is backed up first, under the same lock.
 * Throws DB_NEWER where the database has migrations this program doesn't know, DB_MIGRATION where one failed.
 */
export async function migrate(on: Connections, options: MigrateOptions): Promise<{ backupFile?: string }> {
  // Most starts find nothing to do and need no lock.
  const looker = on.reader.createQueryRunner();
  try {
    const plan = await standing(on, looker);
    if (plan.pending.length === 0) return {};
  } catch (error) {
    throw storeError(error, on.subject);
  } finally {
    await looker.release();
  }
  return exclusively(on, async (runner) => {
    const plan = await standing(on, runner);
    if (plan.pending.length === 0) return {};
    const backupFile = plan.executed.length === 0 ? undefined : await backUpLocked(on, runner, options);
    await executor(on, runner).executePendingMigrations();
    const facts = { from: plan.executed.at(-1) ?? "nothing", to: plan.pending.at(-1) ?? "", backup: backupFile ?? "" };
    options.log({ level: "info", message: "database migrated", facts });
    return backupFile === undefined ? {} : { backupFile };
  });
}

/** What a change of the schema did. `before` and `after` are over the columns that both schemas have. */
export interface SchemaChange {
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly backupFile?: string;
  readonly before: readonly TableChecksum[];
  readonly after: readonly TableChecksum[];
}

/**
 * Brings the schema to the first `target` migrations (all of the program's where left out), up or down, in one
 * transaction with a backup first, and reads all rows before and after. Throws as migrate does.
 */
export async function changeSchema(on: Connections, options: MigrateOptions, target?: number): Promise<SchemaChange> {
  return exclusively(on, async (runner) => {
    const { executed, pending } = await standing(on, runner);
    const aim = target ?? executed.length + pending.length;
    const backupFile =
      executed.length > 0 && executed.length !== aim ? await backUpLocked(on, runner, options) : undefined;
    const before = await columnSums(on, runner);
    if (aim > executed.length) await executor(on, runner).executePendingMigrations();
    for (let count = executed.length; count > aim; count--) await executor(on, runner).undoLastMigration();
    const after = await columnSums(on, runner);
    return {
      from: executed,
      to: (await standing(on, runner)).executed,
      ...(backupFile === undefined ? {} : { backupFile }),
      before: tableChecksums(before, after),
      after: tableChecksums(after, before),
    };
  });
}

/** Nobody writes between the copy and what comes after it. */
async function backUpLocked(on: Connections, runner: QueryRunner, options: MigrateOptions) {
  try {
    if (on.provider === "postgresql") await lockTables(runner);
    return await backUp(on, runner, options);
  } catch (error) {
    throw backupError(error, on.subject, {
      code: "DB_MIGRATION",
      text: "The backup before the migration failed",
      remedy: "Nothing was migrated. Make room, or set a folder for backups that this user may write to.",
    });
  }
}

/** Makes all tables of the first `count` migrations in a database that has none, inside `runner`'s transaction. */
export async function makeTables(on: Connections, runner: QueryRunner, count: number): Promise<void> {
  await executor(on, runner).executePendingMigrations();
  for (let at = on.writer.migrations.length; at > count; at--) await executor(on, runner).undoLastMigration();
}

function executor(on: Connections, runner: QueryRunner): MigrationExecutor {
  const of = new MigrationExecutor(on.writer, runner);
  of.transaction = "none"; // ours is open already
  return of;
}

interface Standing {
  readonly executed: readonly string[];
  readonly pending: readonly string[];
}

/** The program's migrations by name, oldest first. */
export function knownMigrations(source: DataSource): string[] {
  return source.migrations.map((migration) => migration.name ?? migration.constructor.name);
}

/** The database's migrations by name, oldest first; none where it is empty. */
export async function executedMigrations(runner: QueryRunner): Promise<string[]> {
  if (!(await runner.hasTable(MIGRATIONS_TABLE))) return [];
  const rows = await queryRows<{ name: string }>(runner, `SELECT "name" FROM "${MIGRATIONS_TABLE}" ORDER BY "id"`);
  return rows.map((row) => row.name);
}

/** Which migrations the database has. Throws DB_NEWER where it has some that this program does not know. */
async function standing(on: Connections, runner: QueryRunner): Promise<Standing> {
  const executed = await executedMigrations(runner);
  refuseNewer(on.writer, executed, on.subject);
  return { executed, pending: knownMigrations(on.writer).filter((name) => !executed.includes(name)) };
}

/** Throws DB_NEWER where `names` has migrations that this program does not know. */
export function refuseNewer(source: DataSource, names: readonly string[], subject: string): void {
  const known = knownMigrations(source);
  const strangers = names.filter((name) => !known.includes(name));
  if (strangers.length === 0) return;
  throw new ProxmoorError(
    "DB_NEWER",
    `The database was written by a newer version: its schema is ${strangers.at(-1)}, this program knows up to ${known.at(-1) ?? "nothing"}`,
    { subject, remedy: "Use the newer Proxmoor, or put back the backup that it made before migrating." },
  );
}

/** Runs `work` in a transaction while no other program can write or migrate. `fail` makes errors into what is thrown. */
export async function exclusively<T>(
  on: Connections,
  work: (runner: QueryRunner) => Promise<T>,
  fail: (error: unknown, subject: string) => ProxmoorError = migrationError,
): Promise<T> {
  const runner = on.writer.createQueryRunner();
  try {
    await begin(on, runner);
    try {
      const result = await work(runner);
      await checkForeignKeys(on, runner);
      await runner.query("COMMIT");
      return result;
    } catch (error) {
      await runner.query("ROLLBACK").catch(() => undefined);
      throw error;
    }
  } catch (error) {
    throw fail(error, on.subject);
  } finally {
    if (on.provider === "sqlite") await runner.query("PRAGMA foreign_keys = ON");
    await runner.release();
  }
}

async function begin(on: Connections, runner: QueryRunner): Promise<void> {
  if (on.provider === "postgresql") {
    await runner.query(on.begin.write);
    await runner.query("SELECT pg_advisory_xact_lock(hashtext('proxmoor migrations ' || current_schema()))");
    return;
  }
  // SQLite rebuilds tables to change them, which foreign keys would take for deleted rows.
  await runner.query("PRAGMA foreign_keys = OFF");
  const deadline = performance.now() + on.lockWaitMs;
  for (let attempt = 1; ; attempt++) {
    try {
      await runner.query(on.begin.write);
      return;
    } catch (error) {
      if (!isTransient(storeError(error)) || performance.now() >= deadline) throw error;
      await pauseForLock(attempt);
    }
  }
}

async function checkForeignKeys(on: Connections, runner: QueryRunner): Promise<void> {
  if (on.provider !== "sqlite") return;
  const broken = await queryRows<{ table: string }>(runner, "PRAGMA foreign_key_check");
  if (broken.length > 0) throw new Error(`rows of ${broken[0]?.table ?? "?"} refer to rows that do not exist`);
}

/** Faults of the surroundings keep their codes; the rest is the migration's. */
const OWN_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "DB_NEWER",
  "DB_LOCKED",
  "DB_FULL",
  "DB_READ_ONLY",
  "DB_CORRUPT",
  "DB_UNREACHABLE",
  "DB_AUTH",
  "DB_MIGRATION",
  "DB_BACKUP",
]);

function migrationError(error: unknown, subject: string): ProxmoorError {
  const fault = storeError(error, subject);
  if (OWN_CODES.has(fault.code)) return fault;
  return new ProxmoorError(
    "DB_MIGRATION",
    `A migration failed and was taken back: ${messageOf(fault.cause ?? error)}`,
    {
      subject,
      remedy: "The database is as it was before; go on with the version that worked, and report this.",
      cause: fault.cause,
    },
  );
}
