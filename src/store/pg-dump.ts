import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** How pg_dump gets to the database. */
export interface PgDumpSettings {
  /** The program, `pg_dump` when found on the PATH. */
  readonly program: string;
  /** libpq's connection parameters but for the password. */
  readonly connection: Readonly<Record<string, string>>;
  readonly password: string;
  readonly schema: string | undefined;
}

/**
 * Dumps into `target` as SQL. Gives why it could not, in words, where the program is missing or refuses (pg_dump
 * refuses servers newer than itself). The password goes by a file: arguments and environment can be read by others.
 */
export async function pgDump(settings: PgDumpSettings, target: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "proxmoor-dump-"));
  try {
    const passfile = join(folder, "pgpass");
    await writeFile(passfile, `*:*:*:*:${settings.password.replace(/[\\:]/g, "\\$&")}\n`, { mode: 0o600 });
    const parameters = { ...settings.connection, passfile };
    const dsn = Object.entries(parameters).map(([key, value]) => `${key}='${value.replace(/[\\']/g, "\\$&")}'`);
    const schema = settings.schema === undefined ? [] : [`--schema=${settings.schema}`];
    return await run(settings.program, [`--dbname=${dsn.join(" ")}`, "--no-password", ...schema, `--file=${target}`]);
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
