import { Command, Option, type CommanderError } from "commander";
import type { ApplyCommandOptions } from "./commands/apply.js";
import type { ControllerCommandOptions } from "./commands/controller.js";
import type { DeleteOptions } from "./commands/delete.js";
import type { DescribeOptions } from "./commands/describe.js";
import type { DiffOptions } from "./commands/diff.js";
import type { DiffTimesOptions } from "./commands/diff-times.js";
import type { GetOptions } from "./commands/get.js";
import type { SimulatorCommandOptions } from "./commands/simulator.js";
import { packageVersion } from "./commands/version.js";
import type { CommandResult, Io } from "./io.js";
import type { ManifestOptions } from "./manifest-input.js";
import { addDatabaseCommands } from "./program-db.js";

type Action = (...args: never[]) => Promise<CommandResult>;

/**
 * The command line: every command with its options, help and examples. `done` receives what the command gives back.
 * Commands are loaded when they run: `validate` needs neither the database nor the simulator.
 */
export function buildProgram(io: Io, done: (result: CommandResult) => void): Command {
  const program = new Command("proxmoor")
    .description("Keeps a Proxmox VE cluster as its manifests say.")
    .version(packageVersion(), "-V, --version")
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
    })
    .exitOverride()
    .showHelpAfterError("Run with --help for usage.")
    .addHelpText(
      "after",
      examples("proxmoor diff -f manifests/", "proxmoor apply -f manifests/", "proxmoor controller -f manifests/"),
    );
  const finish =
    (action: Action) =>
    async (...args: unknown[]) =>
      done(await (action as (...all: unknown[]) => Promise<CommandResult>)(...args));

  planOptions(manifestOptions(connection(program.command("diff"))))
    .description("Show what apply would change: exit 0 nothing, 1 differences, 2 an error.")
    .addOption(outputs("json", "yaml"))
    .addHelpText(
      "after",
      examples(
        "proxmoor diff -f manifests/",
        "proxmoor diff -f web.yaml -o json",
        "cat *.yaml | proxmoor diff -f -",
        "proxmoor diff --from 2h --to now",
      ),
    )
    .option("--from <time>", "instead: what changed in the cluster since then, as history has it")
    .option("--to <time>", "with --from: up to then (now)")
    .action(
      finish(async (options: DiffOptions & Partial<DiffTimesOptions>) =>
        options.from === undefined
          ? (await import("./commands/diff.js")).diff(options, io)
          : (await import("./commands/diff-times.js")).diffTimes({ ...options, from: options.from }, io),
      ),
    );

  runOptions(planOptions(manifestOptions(connection(program.command("apply")))))
    .description("Make the cluster as the manifests say: exit 0 converged, 1 not converged, 2 nothing was changed.")
    .option("--dry-run", "show the plan and its steps, change nothing")
    .option("--rehearse", "run it on a copy of the cluster and show what would happen, change nothing")
    .addHelpText(
      "after",
      examples(
        "proxmoor apply -f manifests/",
        "proxmoor apply -f manifests/ --rehearse",
        "proxmoor apply -f manifests/ --prune --yes",
        "proxmoor apply -f web.yaml --adopt --dry-run",
      ),
    )
    .action(
      finish(async (options: ApplyCommandOptions) =>
        options.rehearse === true
          ? (await import("./commands/rehearse.js")).rehearse(options, io)
          : (await import("./commands/apply.js")).apply(options, io),
      ),
    );

  runOptions(manifestOptions(connection(program.command("delete"))))
    .description("Delete guests that Proxmoor made or adopted, by name or as manifests name them.")
    .argument("[names...]", "vm/NAME, ct/NAME")
    .option("--forget", "take them out of the inventory only; the guests stay")
    .option("--ignore-not-found", "go on with those that are in the inventory")
    .option("--max-deletes <n>", "refuse to delete more than this many at once (10)")
    .option("--dry-run", "show the plan, change nothing")
    .addHelpText(
      "after",
      examples("proxmoor delete vm/web-01", "proxmoor delete -f manifests/ --yes", "proxmoor delete ct/old --forget"),
    )
    .action(
      finish(async (names: string[], options: DeleteOptions) =>
        (await import("./commands/delete.js")).deleteGuests(names, options, io),
      ),
    );

  connection(program.command("get"))
    .description("List nodes, vms, containers, storage, tasks or resources.")
    .argument("<what>", "nodes|vms|containers|storage|tasks|resources, or one: vms/NAME")
    .argument("[name]", "only this one")
    .addOption(outputs("wide", "json", "yaml", "name"))
    .option("-l, --selector <labels>", "only objects whose labels match: app=web,tier!=db")
    .option("-w, --watch", "print again whenever something changes")
    .option("--cached", "list what the database holds, ask PVE nothing")
    .option("--at <time>", "list what there was then: 2026-01-02T03:04:05Z, or 2h ago as 2h")
    .addHelpText(
      "after",
      examples("proxmoor get vms", "proxmoor get resources -l app=web -o wide", "proxmoor get tasks -w"),
    )
    .action(
      finish(async (what: string, name: string | undefined, options: GetOptions) =>
        (await import("./commands/get.js")).get([what, name], options, io),
      ),
    );

  connection(program.command("describe"))
    .description("Everything known of one guest: configuration, conditions, tasks, events.")
    .argument("<name>", "vm/NAME or ct/NAME")
    .addOption(outputs("json", "yaml"))
    .option("--cached", "show what the database holds, ask PVE nothing")
    .addHelpText("after", examples("proxmoor describe vm/web-01"))
    .action(
      finish(async (name: string, options: DescribeOptions) =>
        (await import("./commands/describe.js")).describe(name, options, io),
      ),
    );

  manifestOptions(program.command("validate"))
    .description("Check manifests; contacts nothing.")
    .addOption(outputs("json"))
    .addHelpText("after", examples("proxmoor validate -f manifests/ -R"))
    .action(
      finish(async (options: ManifestOptions & { output?: string }) =>
        (await import("./commands/validate.js")).validate(options, io),
      ),
    );

  planOptions(manifestOptions(connection(program.command("controller"))))
    .description("Watch manifests and the cluster, and keep the cluster converged until SIGTERM.")
    .option("--interval <seconds>", "how often the cluster is looked at (10)")
    .option("--listen <address>", "health and metrics over HTTP (127.0.0.1:9469; off: none)")
    .option("--grace <seconds>", "how long SIGTERM waits for what is under way (30)")
    .option("--concurrency <n>", "guests reconciled at once (8)")
    .addOption(
      new Option("--log-level <level>", "how much is logged")
        .choices(["debug", "info", "warn", "error"])
        .default("info"),
    )
    .addHelpText(
      "after",
      examples("proxmoor controller -f manifests/", "proxmoor controller -f manifests/ -R --prune --interval 30"),
    )
    .action(
      finish(async (options: ControllerCommandOptions) =>
        (await import("./commands/controller.js")).controller(options, io),
      ),
    );

  program
    .command("simulator")
    .description("Serve PVE's API from memory, to try Proxmoor without a cluster.")
    .option("--listen <address>", "where to listen", "127.0.0.1:8006")
    .option("--state <file>", "keep the cluster's state in this file")
    .option("--request-log <file>", "append one JSON object a request")
    .option("--profile <name>", "the cluster it starts with: demo, conformance, empty", "demo")
    .option("--from-state [database]", "begin with the cluster that Proxmoor's database last saw (DATABASE_URL)")
    .option("--nodes <n>", "a made-up cluster of this many nodes instead of a profile")
    .option("--guests <n>", "how many guests it has (100)")
    .option("--seed <n>", "makes generated ids and addresses repeatable, and what goes wrong by chance")
    .option("--faults <file>", "misbehave by the rules in this YAML file (docs/guide/faults.md)")
    .option("--fault <rule>", "misbehave by this rule, in YAML; repeatable", collect)
    .option("--latency <ms>", "every answer takes so much longer")
    .option("--jitter <ms>", "and up to so much more, by chance")
    .addHelpText(
      "after",
      examples(
        "proxmoor simulator > settings.sh &",
        "proxmoor simulator --listen 127.0.0.1:0 --state lab.json --request-log requests.jsonl",
        "proxmoor simulator --from-state file:./proxmoor.db",
        "proxmoor simulator --latency 50 --jitter 20 --fault '{match: {task: qmstart}, count: 1, effect: {task: fail}}'",
      ),
    )
    .action(
      finish(async (options: SimulatorCommandOptions) =>
        (await import("./commands/simulator.js")).simulator(options, io),
      ),
    );

  addDatabaseCommands(program, { finish, examples, outputs }, io);

  program
    .command("version")
    .description("The version of proxmoor, of Node.js and of the database's schema.")
    .addOption(outputs("json"))
    .addHelpText("after", examples("proxmoor version", "proxmoor version -o json"))
    .action(
      finish(async (options: { output?: string }) => (await import("./commands/version.js")).version(options, io)),
    );

  program
    .command("completion")
    .description("Print a completion script for a shell.")
    .argument("<shell>", "bash, zsh or fish")
    .addHelpText(
      "after",
      examples(
        "source <(proxmoor completion bash)",
        "proxmoor completion fish > ~/.config/fish/completions/proxmoor.fish",
      ),
    )
    .action(finish(async (shell: string) => (await import("./commands/completion.js")).completion(shell, program, io)));
  return program;
}

/** The exit code of what commander throws: 0 for help and version, 2 for a command line it does not understand. */
export function exitCodeOf(error: CommanderError): number {
  return error.exitCode === 0 ? 0 : 2;
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

function outputs(...choices: string[]): Option {
  return new Option("-o, --output <form>", `the form of the output: ${choices.join(", ")}`).choices(choices);
}

const collect = (value: string, previous: string[] | undefined) => [...(previous ?? []), value];

function connection(command: Command): Command {
  return command
    .option("--context <name>", "a context of the context file")
    .option("--endpoint <url>", "PVE's API (PROXMOX_VE_ENDPOINT)")
    .option("--api-token-file <file>", "a file with the API token (PROXMOX_VE_API_TOKEN_FILE)")
    .option("--username <user>", "log in with this user and PROXMOX_VE_PASSWORD")
    .option("--ca-file <file>", "trust this CA (PROXMOX_VE_CA_FILE)")
    .option("--fingerprint <sha256>", "trust the certificate with this fingerprint (PROXMOX_VE_FINGERPRINT)")
    .option("--insecure", "do not verify TLS at all (PROXMOX_VE_INSECURE)")
    .option("--database <url>", "file:PATH or postgresql://… (DATABASE_URL; file:./proxmoor.db)");
}

function manifestOptions(command: Command): Command {
  return command
    .option("-f, --filename <path>", "a manifest file or folder, or - for standard input; repeatable", collect)
    .option("-R, --recursive", "folders with all their subfolders");
}

function planOptions(command: Command): Command {
  return command
    .option("--prune", "delete guests that earlier manifests of these files declared and none does now")
    .option("--adopt", "take over existing guests of the same name")
    .option("--allow <consent>", "replace=vm/NAME: destroy it and make it anew; repeatable", collect)
    .option("--vmid-range <first-last>", "vmids for new guests (100-999999)")
    .option("--max-deletes <n>", "refuse to delete more than this many at once (10)")
    .option("--shutdown-timeout <seconds>", "how long a guest may take to shut down (60)")
    .option("--force-stop", "pull the plug of a guest that does not shut down in time");
}

function runOptions(command: Command): Command {
  return command
    .option("-y, --yes", "go on without asking about disruptions")
    .addOption(outputs("json"))
    .option("--concurrency <n>", "steps under way at once (8)");
}
