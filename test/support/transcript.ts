import { ApiFault, type ManualClock, type Simulator } from "../../src/simulator/index.js";

/**
 * Plays a transcript: its lines that begin with `> ` are what is done, everything else is left out; gives them again,
 * each followed by what came of it.
 *
 *     > as USER                      the next calls are USER's (root@pam at first)
 *     > METHOD PATH key=value …      a call of the API; a value with blanks stands in double quotes
 *     > wait SECONDS                 the clock goes on
 *     > log                          the log of the last task, once it has ended, and how it ended
 *     > offline NODE / online NODE
 */
export async function play(script: string, simulator: Simulator, clock: ManualClock): Promise<string> {
  const player = new Player(simulator, clock);
  const out: string[] = [];
  for (const line of script.split("\n")) {
    if (line.startsWith("#")) out.push(...(out.length > 0 ? [""] : []), line);
    if (line.startsWith("> ")) out.push(line, ...(await player.does(line.slice(2))));
  }
  return `${out.join("\n")}\n`;
}

class Player {
  private user = "root@pam";
  private task = "";

  constructor(
    private readonly simulator: Simulator,
    private readonly clock: ManualClock,
  ) {}

  async does(line: string): Promise<string[]> {
    const [verb = "", word = "", ...rest] = line.match(/(?:[^\s"]|"[^"]*")+/g) ?? [];
    switch (verb) {
      case "as":
        this.user = word;
        return [];
      case "wait":
        this.clock.advance(Number(word) * 1000);
        return [];
      case "log":
        return this.log();
      case "offline":
      case "online":
        this.simulator.setNodeOnline(word, verb === "online");
        return [];
      default:
        return this.call(verb, word, rest);
    }
  }

  private async call(method: string, path: string, rest: readonly string[]): Promise<string[]> {
    const params = Object.fromEntries(
      rest.map((pair) => [
        pair.slice(0, pair.indexOf("=")),
        pair.slice(pair.indexOf("=") + 1).replace(/^"(.*)"$/, "$1"),
      ]),
    );
    try {
      const data = await this.simulator.as(this.user).call(method, path, params);
      if (typeof data === "string" && data.startsWith("UPID:")) this.task = data;
      return printed(data);
    } catch (error) {
      if (!(error instanceof ApiFault)) throw error;
      const errors = Object.entries(error.errors ?? {}).map(([key, text]) => `    ${key}: ${text.trimEnd()}`);
      return [`${error.status} ${error.message.trimEnd()}`, ...errors];
    }
  }

  /** Waits a minute at most. */
  private async log(): Promise<string[]> {
    const root = this.simulator.as();
    const path = `/nodes/${this.task.split(":")[1] ?? ""}/tasks/${encodeURIComponent(this.task)}`;
    const status = async () => (await root.call("GET", `${path}/status`)) as { exitstatus?: string };
    for (let waited = 0; waited < 120 && (await status()).exitstatus === undefined; waited++) this.clock.advance(500);
    const lines = (await root.call("GET", `${path}/log`, { limit: 0 })) as { t: string }[];
    return lines.map(({ t }) => `    ${t}`);
  }
}

/** One line for a value, one a row for a list. */
function printed(data: unknown): string[] {
  if (!Array.isArray(data)) return [JSON.stringify(data)];
  return data.length === 0 ? ["[]"] : (data as unknown[]).map((row) => `- ${JSON.stringify(row)}`);
}
