import { readFile } from "node:fs/promises";
import { DataSource } from "typeorm";
import { ProxmoorError, messageOf } from "../model/errors.js";
import type { Connections, Migrations } from "./connections.js";
import { entities } from "./entities/index.js";
import { storeError } from "./errors.js";
import { SLOW_MS, StatementLogger } from "./logger.js";
import type { StoreLog } from "./logger.js";
import { MIGRATIONS_TABLE } from "./migrations.js";
import type { PgDumpSettings } from "./pg-dump.js";
import { LOCK_WAIT_MS } from "./settings.js";
import type { PostgresqlSettings, TlsSettings } from "./settings.js";

const CONNECT_TIMEOUT_MS = 10_000;

/** A database URL in parts, decoded. */
interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Opens a pool. Throws DB_CONFIG, DB_AUTH, DB_UNREACHABLE; the password is in none of them. */
export async function openPostgresql(
  settings: PostgresqlSettings,
  migrations: Migrations,
  log: StoreLog,
): Promise<Connections> {
  const address = parseAddress(settings.url);
  const subject = `${address.host}:${address.port}/${address.database}`;
  const source = postgresqlDataSource(settings, migrations, log, await readTls(settings.tls));
  try {
    await source.initialize();
    if (settings.schema !== undefined) await createSchema(source, settings.schema);
  } catch (error) {
    if (source.isInitialized) await source.destroy().catch(() => undefined);
    throw storeError(error, subject);
  }
  return {
    provider: "postgresql",
    writer: source,
    reader: source,
    subject,
    begin: { write: "START TRANSACTION", read: "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY" },
    single: false,
    lockWaitMs: settings.lockWaitMs ?? LOCK_WAIT_MS,
    dump: dumpSettings(settings, address),
  };
}

export function postgresqlDataSource(
  settings: PostgresqlSettings,
  migrations: Migrations,
  log: StoreLog,
  tls?: TlsFiles,
): DataSource {
  const { user, ...address } = parseAddress(settings.url);
  return new DataSource({
    type: "postgres",
    ...address,
    username: user,
    ...(tls === undefined ? {} : { ssl: tls }),
    applicationName: "proxmoor",
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    poolSize: settings.poolSize ?? 10,
    installExtensions: false,
    entities: entities("postgresql"),
    migrations: [...migrations],
    migrationsTableName: MIGRATIONS_TABLE,
    logger: new StatementLogger(log, settings.logging === true),
    logging: "all",
    maxQueryExecutionTime: SLOW_MS,
    poolErrorHandler: (error: unknown) => {
      log({ level: "warn", message: "an idle database connection was lost", facts: { error: messageOf(error) } });
    },
    extra: {
      keepAlive: true,
      options: `-c lock_timeout=${settings.lockWaitMs ?? LOCK_WAIT_MS}${searchPath(settings.schema)}`,
    },
  });
}

function dumpSettings(settings: PostgresqlSettings, address: Address): PgDumpSettings {
  const { tls } = settings;
  const files = { sslrootcert: tls?.caFile, sslcert: tls?.certFile, sslkey: tls?.keyFile };
  const given = Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    connection: {
      host: address.host,
      port: String(address.port),
      user: address.user,
      dbname: address.database,
      sslmode: tls?.mode ?? "disable",
      ...Object.fromEntries(given),
    },
    password: address.password,
    schema: settings.schema,
  };
}

/** By the search path all names stay unqualified, so one set of migrations fits every schema. */
function searchPath(schema: string | undefined): string {
  if (schema === undefined) return "";
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) return ` -c search_path=${schema}`;
  throw new ProxmoorError("DB_CONFIG", `The database schema is named ${JSON.stringify(schema)}`, {
    remedy: "Use lower-case letters, digits and underscores, at most 63.",
  });
}

/** Two that create a schema at once collide even with IF NOT EXISTS, so one waits. */
async function createSchema(source: DataSource, schema: string): Promise<void> {
  await source.transaction(async (manager) => {
    await manager.query("SELECT pg_advisory_xact_lock(hashtext('proxmoor schema'))");
    await manager.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
  });
}

function parseAddress(text: string): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) {
    throw new ProxmoorError("DB_CONFIG", "The database's URL is not valid", {
      remedy: "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE.",
    });
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, "") || "localhost",
    port: url.port === "" ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
  };
}

interface TlsFiles {
  readonly rejectUnauthorized?: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly checkServerIdentity?: () => undefined;
}

async function readTls(tls: TlsSettings | undefined): Promise<TlsFiles | undefined> {
  if (tls === undefined) return undefined;
  const ca = await readPem(tls.caFile);
  const cert = await readPem(tls.certFile);
  const key = await readPem(tls.keyFile);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: tls.mode !== "require" || ca !== undefined,
    // Only verify-full compares the host's name, as in libpq.
    ...(tls.mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}

async function readPem(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ProxmoorError("DB_CONFIG", `A file for TLS to the database can't be read: ${messageOf(error)}`, {
      subject: file,
      cause: error,
    });
  }
}
