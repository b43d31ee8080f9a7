import type { Command, Option } from "commander";
import type { DbOptions } from "./commands/db.js";
import type { HistoryOptions } from "./commands/history.js";
import type { CommandResult, Io } from "./io.js";

/** What program.ts lends to the parts of the command line that have files of their own. */
export interface ProgramParts {
  readonly finish: (action: (...args: never[]) => Promise<CommandResult>) => (...args: unknown[]) => Promise<void>;
  readonly examples: (...lines: string[]) => string;
  readonly outputs: (...choices: string[]) => Option;
}

/** `proxmoor history` and `proxmoor db …`: what the database remembers, and its care. */
export function addDatabaseCommands(program: Command, parts: ProgramParts, io: Io): void {
  const { finish, examples, outputs } = parts;
  program
    .command("history")
    .description("What changed in the cluster, when, by which task and user; newest first.")
    .argument("[name]", "vm/NAME, ct/NAME, node/NAME or storage/NAME; left out: everything")
    .option("--limit <n>", "how many changes (50)")
    .option("--context <name>", "a context of the context file")
    .option("--database <url>", "file:PATH or postgresql://… (DATABASE_URL; file:./proxmoor.db)")
    .addOption(outputs("json"))
    .addHelpText("after", examples("proxmoor history", "proxmoor history vm/web-01 --limit 10"))
    .action(
      finish(async (name: string | undefined, options: HistoryOptions) =>
        (await import("./commands/history.js")).history(name, options, io),
      ),
    );

  const load = () => import("./commands/db.js");
  const db = program
    .command("db")
    .description("The care of the database: schema, backups, checks.")
    .addHelpText("after", examples("proxmoor db status", "proxmoor db backup", "proxmoor db check"));
  const command = (name: string, ...shown: string[]) =>
    db
      .command(name)
      .option("--context <name>", "a context of the context file")
      .option("--database <url>", "file:PATH or postgresql://… (DATABASE_URL; file:./proxmoor.db)")
      .addHelpText("after", examples(...shown));

  command("status", "proxmoor db status", "proxmoor db status -o json")
    .description("Where the database is, its migrations, its rows; changes nothing.")
    .addOption(outputs("json"))
    .action(finish(async (options: DbOptions) => (await load()).dbStatus(options, io)));

  command("migrate", "proxmoor db migrate")
    .description("Bring the schema to this version, with a backup first; other commands do so by themselves.")
    .addOption(outputs("json"))
    .action(finish(async (options: DbOptions) => (await load()).dbMigrate(options, io)));

  command("rollback", "proxmoor db rollback", "proxmoor db rollback --to 1")
    .description("Take the newest migration back, with a backup first, for an older version of Proxmoor.")
    .option("--to <n>", "the number of the migration to go back to, as `db status` lists them")
    .addOption(outputs("json"))
    .action(finish(async (options: DbOptions) => (await load()).dbRollback(options, io)));

  command("backup", "proxmoor db backup", "proxmoor db backup /mnt/backups/proxmoor.db")
    .description("Write a consistent copy while others go on, and print its path.")
    .argument("[file]", "the file to write; left out: named by the time, next to the database")
    .action(finish(async (file: string | undefined, options: DbOptions) => (await load()).dbBackup(file, options, io)));

  command("restore", "proxmoor db restore proxmoor.db.backup-20260102T030405678Z --yes")
    .description("Put a backup in the place of the database.")
    .argument("<file>", "what `db backup` or an upgrade wrote")
    .option("-y, --yes", "go on without asking")
    .addOption(outputs("json"))
    .action(finish(async (file: string, options: DbOptions) => (await load()).dbRestore(file, options, io)));

  command("reset", "proxmoor db reset --yes")
    .description("Delete everything and make the tables anew, with a backup first.")
    .option("-y, --yes", "go on without asking")
    .action(finish(async (options: DbOptions) => (await load()).dbReset(options, io)));

  command("seed", "proxmoor db seed --profile medium --database file:./try.db")
    .description("Fill an empty database with a made-up cluster and its history, the same for the same number.")
    .option("--profile <name>", "small (20 guests), medium (500) or large (10,000)", "small")
    .option("--seed <n>", "another number makes another cluster (1)")
    .addOption(outputs("json"))
    .action(finish(async (options: DbOptions) => (await load()).dbSeed(options, io)));

  command("check", "proxmoor db check", "proxmoor db check -o json")
    .description("Examine every page and row; print a checksum of each table. Exit 0: sound.")
    .addOption(outputs("json"))
    .action(finish(async (options: DbOptions) => (await load()).dbCheck(options, io)));

  command("vacuum", "proxmoor db vacuum", "proxmoor db vacuum --keep-days 90 --keep-revisions 10")
    .description("Thin history where asked to, and give space that is not used back to the system.")
    .option("--keep-days <n>", "keep all history of so many days; --at stays exact within them")
    .option("--keep-revisions <n>", "keep the newest n changes of each object besides (1)")
    .action(finish(async (options: DbOptions) => (await load()).dbVacuum(options, io)));
}
