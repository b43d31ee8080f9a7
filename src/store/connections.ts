import type { DataSource, MigrationInterface } from "typeorm";
import type { Provider } from "./entities/table.js";
import type { PgDumpSettings } from "./pg-dump.js";

/** The open connections of one store. */
export interface Connections {
  readonly provider: Provider;
  readonly writer: DataSource;
  /** SQLite: a second connection, so that reads see committed rows only and don't wait for a long write. */
  readonly reader: DataSource;
  /** What to call the database in messages: a path, or host/database without credentials. */
  readonly subject: string;
  /** Statements that begin a write and a read, in one step. */
  readonly begin: { readonly write: string; readonly read: string };
  /** Each connection can run one transaction at a time (SQLite). */
  readonly single: boolean;
  /** How long units of work wait for locks, ms. */
  readonly lockWaitMs: number;
  /** PostgreSQL: how pg_dump is called for backups; undefined: not at all. */
  readonly dump?: PgDumpSettings;
}

/** Classes of migrations, oldest first; tests give more than the program's. */
export type Migrations = readonly (new () => MigrationInterface)[];
