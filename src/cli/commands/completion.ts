import type { Command } from "commander";
import { ProxmoorError } from "../../model/errors.js";
import type { CommandResult, Io } from "../io.js";

const LISTS = ["nodes", "vms", "containers", "storage", "tasks", "resources"];

/** `proxmoor completion bash|zsh|fish`: a script made of the commands and options themselves. */
export function completion(shell: string, program: Command, io: Io): Promise<CommandResult> {
  const make = { bash, zsh, fish }[shell];
  if (!make)
    throw new ProxmoorError("USAGE", `there is no completion for "${shell}"`, {
      remedy: "Shells are bash, zsh and fish.",
    });
  io.out(make(program));
  return Promise.resolve({ exitCode: 0 });
}

function commands(program: Command): readonly Command[] {
  return program.commands;
}

function flags(command: Command): string[] {
  return command.options.flatMap((option) =>
    [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
  );
}

/** The words that may follow a command, besides its options. */
function words(command: Command): string[] {
  if (command.name() === "get") return LISTS;
  return command.name() === "completion" ? ["bash", "zsh", "fish"] : [];
}

function bash(program: Command): string {
  const names = commands(program).map((command) => command.name());
  const cases = commands(program).map(
    (command) => `    ${command.name()}) words="${[...words(command), ...flags(command)].join(" ")}" ;;`,
  );
  return `# proxmoor completion for bash: source <(proxmoor completion bash)
_proxmoor() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words
  case "$previous" in
    -f|--filename|--state|--request-log|--ca-file|--api-token-file) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${names.join(" ")} help" -- "$current")); return; fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _proxmoor proxmoor
`;
}

function zsh(program: Command): string {
  const names = commands(program).map((command) => `    '${command.name()}:${quoted(command.description())}'`);
  const cases = commands(program).map(
    (command) => `    ${command.name()}) compadd -- ${[...words(command), ...flags(command)].join(" ")}; _files ;;`,
  );
  return `#compdef proxmoor
# proxmoor completion for zsh: source <(proxmoor completion zsh)
_proxmoor() {
  local -a commands
  commands=(
${names.join("\n")}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case "\${words[2]}" in
${cases.join("\n")}
  esac
}
compdef _proxmoor proxmoor
`;
}

function fish(program: Command): string {
  const lines = ["# proxmoor completion for fish: proxmoor completion fish | source"];
  for (const command of commands(program)) {
    const within = `-n '__fish_seen_subcommand_from ${command.name()}'`;
    lines.push(
      `complete -c proxmoor -n __fish_use_subcommand -a ${command.name()} -d '${quoted(command.description())}'`,
    );
    for (const word of words(command)) lines.push(`complete -c proxmoor ${within} -f -a ${word}`);
    for (const option of command.options) {
      const short = option.short ? ` -s ${option.short.slice(1)}` : "";
      lines.push(
        `complete -c proxmoor ${within} -l ${(option.long ?? "").slice(2)}${short} -d '${quoted(option.description)}'${option.required ? " -r" : ""}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

function quoted(text: string): string {
  return text.replaceAll("'", "");
}
