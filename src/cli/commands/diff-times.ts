import { compareStates, type StateChange } from "../../history/changes.js";
import { openSession, type GlobalOptions } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { nameOf, valueText } from "../output/changes.js";
import { toJson, toYaml } from "../output/json.js";
import { colourDiff, styleFor } from "../output/style.js";
import { timeOf } from "../times.js";

export interface DiffTimesOptions extends GlobalOptions {
  readonly from: string;
  readonly to?: string;
  readonly output?: string;
}

/** `proxmoor diff --from TIME --to TIME`: 0 nothing changed in between, 1 differences, 2 (thrown) errors. */
export async function diffTimes(options: DiffTimesOptions, io: Io): Promise<CommandResult> {
  const session = await openSession(options, io);
  try {
    const now = session.clock.now();
    const [from, to] = [timeOf(options.from, "--from", now), timeOf(options.to ?? "now", "--to", now)];
    const { changes, unchanged } = compareStates(
      await session.store.history.at(from),
      await session.store.history.at(to),
    );
    const times = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    const whole = { ...times, unchanged, changes: changes.map((one) => ({ object: nameOf(one), ...one })) };
    if (options.output === "json") io.out(`${toJson(whole)}\n`);
    else if (options.output === "yaml") io.out(toYaml(whole));
    else io.out(colourDiff(render(changes, { ...times, unchanged }), styleFor(io.isTerminal.stdout, io.env)));
    return { exitCode: changes.length === 0 ? 0 : 1 };
  } finally {
    await session.close();
  }
}

interface Around {
  readonly from: string;
  readonly to: string;
  readonly unchanged: number;
}

function render(changes: readonly StateChange[], around: Around): string {
  const blocks = changes.map((one) => block(one, around));
  const count = (change: StateChange["change"]) => changes.filter((one) => one.change === change).length;
  const last = `${count("created")} created, ${count("updated")} changed, ${count("deleted")} deleted, ${around.unchanged} unchanged\n`;
  return [...blocks, last].join("\n");
}

function block(one: StateChange, { from, to }: Around): string {
  const guest = one.type === "vm" || one.type === "container" ? ` (vmid ${one.id})` : "";
  const name = `${nameOf(one)}${guest}`;
  const lines = [
    one.change === "created" ? "--- /dev/null" : `--- ${name} ${from}`,
    one.change === "deleted" ? "+++ /dev/null" : `+++ ${name} ${to}`,
    `@@ ${one.change} @@`,
  ];
  for (const change of one.fields) {
    if (change.from !== undefined) lines.push(`-${change.path}: ${valueText(change.from)}`);
    if (change.to !== undefined) lines.push(`+${change.path}: ${valueText(change.to)}`);
  }
  return `${lines.join("\n")}\n`;
}
