import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** How PostgreSQL's own programs get to the database. */
export interface PgDumpSettings {
  /** Where pg_dump and psql are; left out: on the PATH. */
  readonly folder?: string;
  /** libpq's connection parameters but for the password. */
  readonly connection: Readonly<Record<string, string>>;
  readonly password: string;
  readonly schema: string | undefined;
}

/**
 * Dumps the tables into `target` as SQL. Gives why it could not, in words, where the program is missing or refuses
 * (pg_dump refuses servers newer than itself).
 */
export function pgDump(
  settings: PgDumpSettings,
  tables: readonly string[],
  target: string,
): Promise<string | undefined> {
  // Only our tables: others may share the schema. Owners and grants are the target's business.
  const only = tables.map(
    (table) => `--table=${settings.schema === undefined ? "" : `"${settings.schema}".`}"${table}"`,
  );
  return runClient(settings, "pg_dump", ["--no-owner", "--no-privileges", ...only, `--file=${target}`]);
}

/** Runs files of SQL in one transaction; gives why it could not. */
export function psql(settings: PgDumpSettings, files: readonly string[]): Promise<string | undefined> {
  const args = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"];
  return runClient(settings, "psql", [...args, ...files.map((file) => `--file=${file}`)]);
}

/** The password goes by a file: arguments and environment can be read by others. */
async function runClient(
  settings: PgDumpSettings,
  program: "pg_dump" | "psql",
  args: readonly string[],
): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "proxmoor-dump-"));
  try {
    const passfile = join(folder, "pgpass");
    await writeFile(passfile, `*:*:*:*:${settings.password.replace(/[\\:]/g, "\\$&")}\n`, { mode: 0o600 });
    const parameters = { ...settings.connection, passfile };
    const dsn = Object.entries(parameters).map(([key, value]) => `${key}='${value.replace(/[\\']/g, "\\$&")}'`);
    return await run(join(settings.folder ?? "", program), [`--dbname=${dsn.join(" ")}`, "--no-password", ...args]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(program: string, args: readonly string[]): Promise<string | undefined> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code ?? signal ?? 1));
  });
  const stderr = await text(child.stderr).catch(() => "");
  const end = await ended;
  return end === 0 ? undefined : stderr.trim().split("\n")[0] || `${program}: ${end}`;
}
