import { MigrationExecutor } from "typeorm";
import type { QueryRunner } from "typeorm";
import { ProxmoorError, messageOf } from "../model/errors.js";
import type { ErrorCode } from "../model/errors.js";
import { backUp } from "./backup.js";
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
    const plan = await pending(on, looker);
    if (plan.pending.length === 0) return {};
  } catch (error) {
    throw storeError(error, on.subject);
  } finally {
    await looker.release();
  }
  return exclusively(on, async (runner) => {
    const plan = await pending(on, runner);
    if (plan.pending.length === 0) return {};
    const backupFile = plan.executed.length === 0 ? undefined : await backUp(on, runner, options);
    await executor(on, runner).executePendingMigrations();
    const facts = { from: plan.executed.at(-1) ?? "nothing", to: plan.pending.at(-1) ?? "", backup: backupFile ?? "" };
    options.log({ level: "info", message: "database migrated", facts });
    return backupFile === undefined ? {} : { backupFile };
  });
}

/** Takes back the newest migration, with a backup first. */
export async function undoLast(on: Connections, options: MigrateOptions): Promise<{ backupFile: string | undefined }> {
  return exclusively(on, async (runner) => {
    await pending(on, runner);
    const backupFile = await backUp(on, runner, options);
    await executor(on, runner).undoLastMigration();
    return { backupFile };
  });
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

async function pending(on: Connections, runner: QueryRunner): Promise<Standing> {
  const known = on.writer.migrations.map((migration) => migration.name ?? migration.constructor.name);
  const executed = (await runner.hasTable(MIGRATIONS_TABLE))
    ? await queryRows<{ name: string }>(runner, `SELECT "name" FROM "${MIGRATIONS_TABLE}" ORDER BY "id"`)
    : [];
  const names = executed.map((row) => row.name);
  const strangers = names.filter((name) => !known.includes(name));
  if (strangers.length > 0) {
    throw new ProxmoorError(
      "DB_NEWER",
      `The database was written by a newer version: its schema is ${strangers.at(-1)}, this program knows up to ${known.at(-1) ?? "nothing"}`,
      { subject: on.subject, remedy: "Use the newer Proxmoor, or put back the backup that it made before migrating." },
    );
  }
  return { executed: names, pending: known.filter((name) => !names.includes(name)) };
}

/** Runs `work` in a transaction while no other program can write or migrate. */
async function exclusively<T>(on: Connections, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
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
    throw migrationError(error, on.subject);
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
