import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, copyFile, link, mkdtemp, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { QueryRunner } from "typeorm";
import { ProxmoorError, messageOf } from "../model/errors.js";
import { DUMP_HEAD, backUp, ownTables } from "./backup.js";
import type { BackupOptions, DumpEnd } from "./backup.js";
import { columnSums, tableChecksums } from "./checksums.js";
import type { TableChecksum } from "./checksums.js";
import type { Connections, Migrations } from "./connections.js";
import { TABLES } from "./entities/index.js";
import { storeError } from "./errors.js";
import type { StoreLog } from "./logger.js";
import { executedMigrations, exclusively, knownMigrations, makeTables, refuseNewer } from "./migrate.js";
import { MIGRATIONS_TABLE } from "./migrations.js";
import { psql } from "./pg-dump.js";
import { openPostgresql } from "./postgres.js";
import type { PostgresqlSettings, SqliteSettings, StoreSettings } from "./settings.js";
import { sqliteDataSource } from "./sqlite.js";
import { continueNumbers } from "./rows.js";
import { queryRows } from "./sql.js";

/** What a restore did. */
export interface Restored {
  /** What was there before, put aside; undefined where there was nothing. */
  readonly kept?: string;
  readonly checksums: readonly TableChecksum[];
}

interface RestoreOptions extends Omit<BackupOptions, "file"> {
  readonly migrations: Migrations;
}

type Format = "sqlite" | "dump" | "sql";

/**
 * Puts a backup in the place of the database, whole or not at all; the backup is examined before anything is touched.
 * Throws DB_BACKUP where the file is of no use, DB_NEWER where a newer program wrote it, DB_LOCKED where another program
 * has the SQLite file open.
 */
export async function restoreDatabase(
  settings: StoreSettings,
  file: string,
  options: RestoreOptions,
): Promise<Restored> {
  const format = await formatOf(file);
  if ((format === "sqlite") !== (settings.provider === "sqlite")) {
    const of = format === "sqlite" ? "SQLite" : "PostgreSQL";
    throw useless(file, `it is a backup of ${of}, the database is ${settings.provider}`);
  }
  if (settings.provider === "sqlite") return restoreSqlite(settings, file, options);
  const on = await openPostgresql(settings, options.migrations, options.log);
  try {
    return format === "sql" ? await restoreSql(on, settings, { file, options }) : await restoreDump(on, file, options);
  } finally {
    await on.writer.destroy();
  }
}

function useless(file: string, why: string, cause?: unknown): ProxmoorError {
  return new ProxmoorError("DB_BACKUP", `The backup can't be used: ${why}`, {
    subject: file,
    remedy: "The database is as it was before. Name a file that `proxmoor db backup` or an upgrade wrote.",
    cause,
  });
}

async function formatOf(file: string): Promise<Format> {
  const head = Buffer.alloc(64);
  try {
    const handle = await open(file, "r");
    await handle.read(head, 0, head.length, 0).finally(() => handle.close());
  } catch (error) {
    throw useless(file, messageOf(error), error);
  }
  const text = head.toString("latin1");
  if (text.startsWith("SQLite format 3\0")) return "sqlite";
  if (text.startsWith(DUMP_HEAD)) return "dump";
  if (text.includes("-- PostgreSQL database dump")) return "sql";
  throw useless(file, "it is no backup of Proxmoor's");
}

async function restoreSqlite(settings: SqliteSettings, file: string, options: RestoreOptions): Promise<Restored> {
  const target = settings.file;
  const fresh = join(dirname(target), `.restore-${randomUUID()}.db`);
  try {
    await copyFile(file, fresh);
    await chmod(fresh, 0o600);
    const checksums = await examineCopy({ ...settings, file: fresh }, file, options);
    const kept = await putAside(target, options);
    await rename(fresh, target);
    return { ...(kept === undefined ? {} : { kept }), checksums };
  } catch (error) {
    throw error instanceof ProxmoorError ? error : useless(file, messageOf(error), error);
  } finally {
    await rm(fresh, { force: true });
  }
}

/** Reads the whole copy: a damaged page, a missing row or a newer schema shows here. */
async function examineCopy(copy: SqliteSettings, file: string, options: RestoreOptions): Promise<TableChecksum[]> {
  const source = sqliteDataSource(copy, options.migrations, options.log);
  try {
    await source.initialize();
    const runner = source.createQueryRunner();
    const [verdict] = await queryRows<{ integrity_check: string }>(runner, "PRAGMA integrity_check(1)");
    if (verdict?.integrity_check !== "ok") throw useless(file, `it is damaged: ${verdict?.integrity_check ?? "?"}`);
    const names = await executedMigrations(runner);
    if (names.length === 0) throw useless(file, "it holds no tables of Proxmoor's");
    refuseNewer(source, names, file);
    return tableChecksums(await columnSums({ provider: "sqlite" }, runner));
  } catch (error) {
    if (error instanceof ProxmoorError) throw error;
    throw useless(file, messageOf(storeError(error).cause ?? error), error);
  } finally {
    if (source.isInitialized) await source.destroy();
  }
}

/**
 * Keeps the file under another name. Its log goes first: beside another database SQLite would take the log for that
 * one's. Gives undefined where there is no file.
 */
async function putAside(target: string, options: RestoreOptions): Promise<string | undefined> {
  if ((await stat(target).catch(() => undefined)) === undefined) return undefined;
  await refuseOpen(target, options.log);
  const kept = `${target}.before-restore-${new Date(options.now()).toISOString().replaceAll(/[-:.]/g, "")}`;
  for (const suffix of ["-wal", "-shm"]) {
    await rename(`${target}${suffix}`, `${kept}${suffix}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
  // The name stays taken until the new file has it.
  await link(target, kept);
  return kept;
}

/** Leaving WAL needs the file alone: who can't is not alone. A file that can't be read can't be in use either. */
async function refuseOpen(file: string, log: StoreLog): Promise<void> {
  const source = sqliteDataSource({ provider: "sqlite", file }, [], log);
  try {
    await source.initialize();
    await source.query("PRAGMA journal_mode = DELETE");
  } catch (error) {
    const fault = storeError(error, file);
    if (fault.code !== "DB_LOCKED") return;
    throw new ProxmoorError("DB_LOCKED", "Another program has the database open", {
      subject: file,
      remedy: "Stop the controller and other runs of Proxmoor, then restore.",
      cause: fault.cause,
    });
  } finally {
    if (source.isInitialized) await source.destroy();
  }
}

interface DumpLine {
  readonly table?: string;
  readonly row?: Readonly<Record<string, unknown>>;
}

async function restoreDump(on: Connections, file: string, options: RestoreOptions): Promise<Restored> {
  const names = await examineDump(file);
  refuseNewer(on.writer, names, file);
  const count = knownMigrations(on.writer).filter((name) => names.includes(name)).length;
  const fail = (error: unknown) => (error instanceof ProxmoorError ? error : useless(file, messageOf(error), error));
  return exclusively(
    on,
    async (runner) => {
      const kept = await keepTables(on, runner, options);
      await dropTables(runner);
      await makeTables(on, runner, count);
      await loadRows(runner, file);
      return { ...kept, checksums: tableChecksums(await columnSums(on, runner)) };
    },
    fail,
  );
}

async function keepTables(on: Connections, runner: QueryRunner, options: RestoreOptions): Promise<{ kept?: string }> {
  if ((await ownTables(runner)).length === 0) return {};
  const kept = await backUp(on, runner, options);
  return kept === undefined ? {} : { kept };
}

/** Checks that every line is there and gives the migrations that the dump was made under. */
async function examineDump(file: string): Promise<string[]> {
  const names: string[] = [];
  const sum = createHash("sha256");
  let rows = 0;
  let end: DumpEnd["end"] | undefined;
  for await (const line of linesOf(file)) {
    if (end !== undefined) throw useless(file, "it goes on after its end");
    if (line.startsWith('{"end":')) {
      end = (JSON.parse(line) as DumpEnd).end;
      continue;
    }
    sum.update(`${line}\n`);
    if (!line.startsWith('{"table":')) continue;
    rows += 1;
    if (!line.startsWith(`{"table":"${MIGRATIONS_TABLE}"`)) continue;
    names.push(String((JSON.parse(line) as DumpLine).row?.["name"]));
  }
  if (end === undefined || end.rows !== rows || end.sha256 !== sum.digest("hex")) {
    throw useless(file, "it is not whole, or was changed after it was written");
  }
  return names;
}

/** At line feeds only: node:readline takes U+2028 inside of a text for the end of a line as well. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of createReadStream(file, "utf8") as AsyncIterable<string>) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** All of ours, CASCADE for what others built on them. */
async function dropTables(runner: QueryRunner): Promise<void> {
  const names = await ownTables(runner);
  if (names.length > 0) await runner.query(`DROP TABLE ${names.map((name) => `"${name}"`).join(", ")} CASCADE`);
}

const CHUNK = 500;

/** PostgreSQL reads the rows itself, so that no number passes through JavaScript. */
async function loadRows(runner: QueryRunner, file: string): Promise<void> {
  let table = "";
  let rows: string[] = [];
  const flush = async () => {
    if (rows.length === 0) return;
    const sql = `INSERT INTO "${table}" SELECT * FROM json_populate_recordset(NULL::"${table}", $1::json)`;
    await runner.query(sql, [`[${rows.join(",")}]`]);
    rows = [];
  };
  for await (const line of linesOf(file)) {
    const match = /^\{"table":"([a-z_]+)","row":(.*)\}$/s.exec(line);
    if (match?.[1] === undefined || match[2] === undefined || match[1] === MIGRATIONS_TABLE) continue;
    if (match[1] !== table || rows.length >= CHUNK) await flush();
    table = match[1];
    rows.push(match[2]);
  }
  await flush();
  const present = new Set(await ownTables(runner));
  const numbered = TABLES.filter((of) => Object.values(of.columns).some((column) => column.generated));
  for (const { name } of numbered.filter((of) => present.has(of.name))) {
    await continueNumbers({ runner, provider: "postgresql" }, name);
  }
}

/** What pg_dump wrote is SQL with psql's own commands in it, so psql runs it, in one transaction. */
async function restoreSql(
  on: Connections,
  settings: PostgresqlSettings,
  from: { readonly file: string; readonly options: RestoreOptions },
): Promise<Restored> {
  const { file, options } = from;
  if (!(await lastLines(file)).includes("-- PostgreSQL database dump complete")) throw useless(file, "it is not whole");
  if (on.dump === undefined) throw useless(file, "there is no way to run psql");
  const kept = await exclusively(on, (runner) => keepTables(on, runner, options));
  const folder = await mkdtemp(join(tmpdir(), "proxmoor-restore-"));
  try {
    const names = [...TABLES.map((table) => table.name), MIGRATIONS_TABLE];
    const schema = settings.schema === undefined ? "" : `SET search_path = "${settings.schema}";\n`;
    const before = join(folder, "before.sql");
    await writeFile(before, `${schema}${names.map((name) => `DROP TABLE IF EXISTS "${name}" CASCADE;\n`).join("")}`);
    const refusal = await psql(on.dump, [before, file]);
    if (refusal !== undefined) throw useless(file, refusal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return exclusively(on, async (runner) => ({ ...kept, checksums: tableChecksums(await columnSums(on, runner)) }));
}

async function lastLines(file: string): Promise<string> {
  const { size } = await stat(file);
  const tail = Buffer.alloc(Math.min(size, 1000));
  const handle = await open(file, "r");
  await handle.read(tail, 0, tail.length, Math.max(0, size - tail.length)).finally(() => handle.close());
  return tail.toString("utf8");
}
