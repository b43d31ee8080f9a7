import { ProxmoorError } from "../../model/errors.js";
import {
  openAdmin,
  restore,
  seed,
  SEED_PROFILES,
  type SeedProfile,
  type DatabaseAdmin,
  type SchemaChange,
  type TableChecksum,
} from "../../store/index.js";
import { openSession, storeAccess, type GlobalOptions, type StoreAccess } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { numberOf } from "../look.js";
import { toJson } from "../output/json.js";
import { formatBytes, formatTable } from "../output/table.js";
import { confirmLoss } from "../prompt.js";

export interface DbOptions extends GlobalOptions {
  readonly output?: string;
  readonly yes?: boolean;
  readonly to?: string;
  readonly profile?: string;
  readonly seed?: string;
  readonly keepDays?: string;
  readonly keepRevisions?: string;
}

const DAY_MS = 86_400_000;
const DONE: CommandResult = { exitCode: 0 };

/** `proxmoor db status`: where the database is, its schema, its rows. */
export function dbStatus(options: DbOptions, io: Io): Promise<CommandResult> {
  return withAdmin(options, io, async (admin) => {
    const status = await admin.status();
    if (options.output === "json") {
      io.out(`${toJson(status)}\n`);
      return DONE;
    }
    const size = status.bytes === undefined ? "" : `, ${formatBytes(status.bytes)}`;
    io.out(`Database:  ${status.provider} ${status.subject}${size}\n\n`);
    const migrations = status.migrations.map(({ name, state }, at) => [String(at + 1), name, state]);
    io.out(`${formatTable(["NUMBER", "MIGRATION", "STATE"], migrations)}\n`);
    const rows = status.tables.map(({ table, rows: count }) => [table, String(count)]);
    io.out(rows.length === 0 ? "There are no tables yet.\n" : formatTable(["TABLE", "ROWS"], rows));
    return DONE;
  });
}

/** `proxmoor db migrate`: to this program's schema, as every command that uses the database does by itself. */
export function dbMigrate(options: DbOptions, io: Io): Promise<CommandResult> {
  return withAdmin({ ...options, make: true }, io, async (admin) => printChange(await admin.migrate(), options, io));
}

/** `proxmoor db rollback`: one migration back, or to number N. */
export function dbRollback(options: DbOptions, io: Io): Promise<CommandResult> {
  const to = options.to === undefined ? undefined : numberOf(options.to, "--to", 0);
  return withAdmin(options, io, async (admin) => printChange(await admin.rollback(to), options, io));
}

export function dbBackup(file: string | undefined, options: DbOptions, io: Io): Promise<CommandResult> {
  return withAdmin(options, io, async (admin) => {
    io.out(`${await admin.backup(file)}\n`);
    return DONE;
  });
}

export async function dbRestore(file: string, options: DbOptions, io: Io): Promise<CommandResult> {
  const access = storeAccess(options, io);
  await confirmLoss(`The database is replaced by ${file}. Go on?`, options.yes === true, io);
  const { kept, checksums } = await restore(access.settings, file, access.options);
  if (options.output === "json") io.out(`${toJson({ kept, tables: checksums })}\n`);
  else {
    if (kept !== undefined) io.out(`What was there before is ${kept}\n`);
    io.out(sumsTable(checksums));
  }
  return DONE;
}

export function dbReset(options: DbOptions, io: Io): Promise<CommandResult> {
  return withAdmin({ ...options, make: true }, io, async (admin) => {
    const { subject, tables } = await admin.status();
    const rows = tables.reduce((sum, table) => sum + table.rows, 0);
    await confirmLoss(`${rows} rows of ${subject} are deleted. Go on?`, options.yes === true, io);
    const { backupFile } = await admin.reset();
    io.out(`The database is empty.${backupFile === undefined ? "" : ` A backup from before is ${backupFile}`}\n`);
    return DONE;
  });
}

/** `proxmoor db seed`: a made-up cluster with a history, to try things with. */
export async function dbSeed(options: DbOptions, io: Io): Promise<CommandResult> {
  const profile = Object.keys(SEED_PROFILES).find((name): name is SeedProfile => name === options.profile);
  if (profile === undefined)
    throw new ProxmoorError("USAGE", `there is no profile "${options.profile ?? ""}"`, {
      remedy: `Profiles are ${Object.keys(SEED_PROFILES).join(", ")}.`,
    });
  const { settings, options: store } = storeAccess(options, io);
  await seed(settings, { profile, seed: numberOf(options.seed ?? "1", "--seed", 0) }, store.log);
  return dbCheck(options, io);
}

/** `proxmoor db check`: 0 sound, 2 (thrown) not. */
export function dbCheck(options: DbOptions, io: Io): Promise<CommandResult> {
  return withAdmin(options, io, async (admin) => {
    const { problems, checksums } = await admin.check();
    if (options.output === "json") io.out(`${toJson({ sound: problems.length === 0, problems, tables: checksums })}\n`);
    else io.out(sumsTable(checksums));
    if (problems.length > 0) {
      const list = problems.map((problem) => `\n  ${problem}`).join("");
      throw new ProxmoorError("DB_DAMAGED", `the database is not sound:${list}`, {
        remedy: "Put a backup back with `proxmoor db restore FILE`.",
      });
    }
    if (options.output !== "json") io.out("The database is sound.\n");
    return DONE;
  });
}

/** `proxmoor db vacuum`: thins history where asked to, and gives space back. */
export async function dbVacuum(options: DbOptions, io: Io): Promise<CommandResult> {
  const { keepDays, keepRevisions } = options;
  if (keepDays !== undefined || keepRevisions !== undefined) {
    const session = await openSession(options, io);
    try {
      const revisions = numberOf(keepRevisions ?? "1", "--keep-revisions", 1);
      const days = keepDays === undefined ? undefined : numberOf(keepDays, "--keep-days", 0);
      const since = days === undefined ? {} : { since: session.clock.now() - days * DAY_MS };
      const { snapshots, tasks, others } = await session.store.history.thin({ revisions, ...since });
      io.out(`Deleted ${snapshots} snapshots, ${tasks} tasks, ${others} events and manifest revisions\n`);
    } finally {
      await session.close();
    }
  }
  return withAdmin(options, io, async (admin) => {
    const { before, after } = await admin.vacuum();
    io.out(`${formatBytes(before)} before, ${formatBytes(after)} now\n`);
    return DONE;
  });
}

async function withAdmin(
  options: DbOptions & { readonly make?: boolean },
  io: Io,
  work: (admin: DatabaseAdmin, access: StoreAccess) => Promise<CommandResult>,
): Promise<CommandResult> {
  const access = storeAccess(options, io);
  const admin = await openAdmin(access.settings, { ...access.options, make: options.make === true });
  try {
    return await work(admin, access);
  } finally {
    await admin.close();
  }
}

function printChange(change: SchemaChange, options: DbOptions, io: Io): CommandResult {
  const steps = change.to.length - change.from.length;
  if (options.output === "json") {
    io.out(`${toJson(change)}\n`);
    return DONE;
  }
  if (steps === 0) io.out(`The schema is ${change.to.at(-1) ?? "empty"} already.\n`);
  else io.out(`${change.from.at(-1) ?? "nothing"} → ${change.to.at(-1) ?? "nothing"}\n`);
  if (change.backupFile !== undefined) io.out(`A backup from before is ${change.backupFile}\n`);
  const after = new Map(change.after.map((sum) => [sum.table, sum]));
  const rows = change.before.map((sum) => {
    const now = after.get(sum.table);
    return [sum.table, String(sum.rows), String(now?.rows ?? 0), sum.checksum, now?.checksum ?? "", verdict(sum, now)];
  });
  if (rows.length > 0) io.out(formatTable(["TABLE", "BEFORE", "AFTER", "CHECKSUM BEFORE", "AFTER", ""], rows));
  return DONE;
}

function verdict(before: TableChecksum, after: TableChecksum | undefined): string {
  return before.rows === after?.rows && before.checksum === after.checksum ? "kept" : "changed";
}

function sumsTable(sums: readonly TableChecksum[]): string {
  if (sums.length === 0) return "";
  return formatTable(
    ["TABLE", "ROWS", "CHECKSUM"],
    sums.map((sum) => [sum.table, String(sum.rows), sum.checksum]),
  );
}
