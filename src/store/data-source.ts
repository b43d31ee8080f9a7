import type { DataSource } from "typeorm";
import type { StoreLog } from "./logger.js";
import { MIGRATIONS } from "./migrations.js";
import { postgresqlDataSource } from "./postgres.js";
import type { StoreSettings } from "./settings.js";
import { sqliteDataSource } from "./sqlite.js";

/** TypeORM's data source of a database, not opened: for its command line and for tests of the schema. */
export function dataSource(settings: StoreSettings, log: StoreLog): DataSource {
  return settings.provider === "sqlite"
    ? sqliteDataSource(settings, MIGRATIONS, log)
    : postgresqlDataSource(settings, MIGRATIONS, log);
}
