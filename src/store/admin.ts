import { stat } from "node:fs/promises";
import type { QueryRunner } from "typeorm";
import { ProxmoorError } from "../model/errors.js";
import { backUp, backupError } from "./backup.js";
import { examine } from "./check.js";
import type { Findings } from "./check.js";
import type { Connections, Migrations } from "./connections.js";
import { TABLES } from "./entities/index.js";
import { storeError } from "./errors.js";
import type { StoreLog } from "./logger.js";
import { changeSchema, executedMigrations, knownMigrations } from "./migrate.js";
import type { SchemaChange } from "./migrate.js";
import { openPostgresql } from "./postgres.js";
import type { StoreSettings } from "./settings.js";
import { openSqlite } from "./sqlite.js";
import { queryRows } from "./sql.js";

/** What the database is, without changing it. */
export interface DatabaseStatus {
  readonly provider: StoreSettings["provider"];
  /** A path, or host/database without credentials. */
  readonly subject: string;
  /** Every migration of the database or the program, oldest first; `unknown`: a newer program's. */
  readonly migrations: readonly { readonly name: string; readonly state: "applied" | "pending" | "unknown" }[];
  readonly tables: readonly { readonly table: string; readonly rows: number }[];
  /** On the disk, bytes; undefined in memory. */
  readonly bytes?: number;
}

/** The care of a database: unlike openStore, opening it changes nothing. */
export class DatabaseAdmin {
  constructor(
    private readonly on: Connections,
    private readonly options: AdminOptions,
  ) {}

  status(): Promise<DatabaseStatus> {
    return this.reading(async (runner) => {
      const executed = await executedMigrations(runner);
      const known = knownMigrations(this.on.writer);
      const migrations = [
        ...executed.map((name) => ({ name, state: known.includes(name) ? "applied" : "unknown" }) as const),
        ...known.filter((name) => !executed.includes(name)).map((name) => ({ name, state: "pending" }) as const),
      ];
      const { provider, subject } = this.on;
      const bytes = await this.size(runner);
      const tables = await rowCounts(runner);
      return { provider, subject, migrations, tables, ...(bytes === undefined ? {} : { bytes }) };
    });
  }

  /** Up to the program's schema. Throws as openStore does. */
  migrate(): Promise<SchemaChange> {
    return changeSchema(this.on, this.options);
  }

  /** Back to the first `to` migrations, by default one step. Throws USAGE where there are not so many. */
  async rollback(to?: number): Promise<SchemaChange> {
    const executed = await this.reading(executedMigrations);
    const aim = to ?? executed.length - 1;
    if (aim < 0 || aim > executed.length) {
      throw new ProxmoorError("USAGE", `the database is at migration ${executed.length}, it can't go back to ${aim}`, {
        remedy: "`proxmoor db status` lists the migrations by number; 0 is the empty database.",
      });
    }
    return changeSchema(this.on, this.options, aim);
  }

  /** A consistent copy while others go on; gives its path. Throws DB_BACKUP. */
  async backup(file?: string): Promise<string> {
    try {
      const path = await this.reading((runner) =>
        backUp(this.on, runner, { ...this.options, ...(file === undefined ? {} : { file }) }),
      );
      if (path !== undefined) return path;
    } catch (error) {
      throw backupError(error, this.on.subject, {
        code: "DB_BACKUP",
        text: "The backup failed",
        remedy: "Make room, or name a file that is not there yet in a folder that this user may write to.",
      });
    }
    throw new ProxmoorError("DB_BACKUP", "A database in memory has no backup", { subject: this.on.subject });
  }

  check(): Promise<Findings> {
    return this.reading((runner) => examine(this.on, runner));
  }

  /** Gives space back to the system; the sizes before and after, bytes. */
  async vacuum(): Promise<{ before: number | undefined; after: number | undefined }> {
    const before = await this.reading((runner) => this.size(runner));
    const runner = this.on.writer.createQueryRunner();
    try {
      for (const statement of await this.vacuumStatements(runner)) await runner.query(statement);
    } catch (error) {
      throw storeError(error, this.on.subject);
    } finally {
      await runner.release();
    }
    return { before, after: await this.reading((reader) => this.size(reader)) };
  }

  /** Deletes everything and makes the tables anew, with a backup of what was there. */
  async reset(): Promise<{ backupFile?: string }> {
    const { backupFile } = await changeSchema(this.on, this.options, 0);
    await changeSchema(this.on, this.options);
    return backupFile === undefined ? {} : { backupFile };
  }

  async close(): Promise<void> {
    if (this.on.reader !== this.on.writer) await this.on.reader.destroy();
    await this.on.writer.destroy();
  }

  /** A view of one moment, with the locks of a reader. */
  private async reading<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const runner = this.on.reader.createQueryRunner();
    try {
      await runner.query(this.on.begin.read);
      return await work(runner);
    } catch (error) {
      throw storeError(error, this.on.subject);
    } finally {
      // Nothing was written, so nothing is lost.
      await runner.query("ROLLBACK").catch(() => undefined);
      await runner.release();
    }
  }

  private async size(runner: QueryRunner): Promise<number | undefined> {
    if (this.on.provider === "sqlite") return (await stat(this.on.subject).catch(() => undefined))?.size;
    const sql = "SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0) AS bytes FROM pg_class";
    const rows = await queryRows<{ bytes: string }>(
      runner,
      `${sql} WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`,
    );
    return Number(rows[0]?.bytes ?? 0);
  }

  private async vacuumStatements(runner: QueryRunner): Promise<string[]> {
    if (this.on.provider === "sqlite") return ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA optimize"];
    const tables = (await rowCounts(runner)).map(({ table }) => `"${table}"`);
    return tables.length === 0 ? [] : [`VACUUM (ANALYZE) ${tables.join(", ")}`];
  }
}

async function rowCounts(runner: QueryRunner): Promise<{ table: string; rows: number }[]> {
  const counts: { table: string; rows: number }[] = [];
  for (const { name } of TABLES) {
    if (!(await runner.hasTable(name))) continue;
    const rows = await queryRows<{ n: number | string }>(runner, `SELECT COUNT(*) AS n FROM "${name}"`);
    counts.push({ table: name, rows: Number(rows[0]?.n) });
  }
  return counts;
}

export interface AdminOptions {
  readonly migrations: Migrations;
  readonly backupFolder: string | undefined;
  readonly now: () => number;
  readonly log: StoreLog;
}

/** Opens a database that is there. Throws DB_UNREACHABLE where a SQLite file is not, unless it is to be made. */
export async function openAdminWith(
  settings: StoreSettings,
  options: AdminOptions & { readonly make: boolean },
): Promise<DatabaseAdmin> {
  if (settings.provider === "postgresql") {
    return new DatabaseAdmin(await openPostgresql(settings, options.migrations, options.log), options);
  }
  const isThere = settings.file === ":memory:" || (await stat(settings.file).catch(() => undefined)) !== undefined;
  if (!isThere && !options.make) {
    throw new ProxmoorError("DB_UNREACHABLE", "There is no database file", {
      subject: settings.file,
      remedy: "`proxmoor db migrate` makes it, as does any command that uses the database.",
    });
  }
  return new DatabaseAdmin(await openSqlite(settings, options.migrations, options.log), options);
}
