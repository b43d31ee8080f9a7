import { setImmediate } from "node:timers/promises";
import { ApiFault, type ManualClock, type Simulator } from "../../src/simulator/index.js";

/** Tasks and calls that wait for a lock are given this much of the clock's time, milliseconds. */
const PATIENCE = 300_000;
const STEP = 500;

/**
 * Plays a transcript: its lines that begin with `> ` are what is done, everything else is left out; gives them again,
 * each followed by what came of it. What the cluster made up (digests, ids, the numbers of a UPID) is printed as a word.
 *
 *     > as USER                      the next calls are USER's (root@pam at first)
 *     > METHOD PATH key=value …      a call of the API; a value with blanks stands in double quotes, with \n and \"
 *     > METHOD PATH … &              its task is left running; else it is followed, and its end printed
 *     > METHOD PATH … | 2            only the first two rows of the answer
 *     > METHOD PATH … | key,key      only these keys of the answer
 *     > wait SECONDS                 the clock goes on
 *     > log                          the log of the last task, once it has ended, and how it ended
 *     > stop                         the last task is stopped
 *     > offline NODE / online NODE
 *
 * `$task` in a call is the last task's UPID, `$digest` the digest that an answer named last.
 */
export async function play(script: string, simulator: Simulator, clock: ManualClock): Promise<string> {
  const player = new Player(simulator, clock);
  const out: string[] = [];
  for (const line of script.split("\n")) {
    if (line.startsWith("#")) out.push(...(out.length > 0 && !out.at(-1)?.startsWith("#") ? [""] : []), line);
    if (line.startsWith("> ")) out.push(line, ...(await player.does(line.slice(2))));
  }
  return `${out.join("\n")}\n`;
}

class Player {
  private user = "root@pam";
  private task = "";
  private digest = "";

  constructor(
    private readonly simulator: Simulator,
    private readonly clock: ManualClock,
  ) {}

  async does(line: string): Promise<string[]> {
    const [verb = "", word = "", ...rest] = line.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
    switch (verb) {
      case "as":
        this.user = word;
        return [];
      case "wait":
        this.clock.advance(Number(word) * 1000);
        return [];
      case "log":
        return (await this.log()).map((text) => `    ${text}`);
      case "stop":
        return printed(await this.simulator.as().call("DELETE", this.taskPath));
      case "offline":
      case "online":
        this.simulator.setNodeOnline(word, verb === "online");
        return [];
      default:
        return this.call(verb, word, rest);
    }
  }

  private async call(method: string, path: string, rest: readonly string[]): Promise<string[]> {
    const follow = rest.at(-1) !== "&";
    const wanted = rest.at(-2) === "|" ? (rest.at(-1) ?? "") : undefined;
    const words = rest.slice(0, wanted !== undefined ? -2 : follow ? undefined : -1);
    const pairs = words.map((pair) => {
      const [, key = "", value = ""] = /^([^=]*)=?([^]*)$/.exec(pair) ?? [];
      return [key, this.filled(value.startsWith('"') ? (JSON.parse(value) as string) : value)];
    });
    try {
      const params = Object.fromEntries(pairs) as Record<string, string>;
      const data = await this.patiently(this.simulator.as(this.user).call(method, this.filled(path), params));
      this.digest = digestIn(data) ?? this.digest;
      if (typeof data !== "string" || !data.startsWith("UPID:")) return printed(data, wanted);
      this.task = data;
      return [`task ${nameOf(data)}${follow ? `: ${await this.end()}` : ""}`];
    } catch (error) {
      if (!(error instanceof ApiFault)) throw error;
      const errors = Object.entries(error.errors ?? {}).map(([key, text]) => `    ${key}: ${indented(text)}`);
      return [`${error.status} ${indented(error.message)}`, ...errors].map(steady);
    }
  }

  private filled(text: string): string {
    return text.replaceAll("$task", encodeURIComponent(this.task)).replaceAll("$digest", this.digest);
  }

  /** A call that waits for somebody's lock goes on when the clock does. */
  private async patiently(call: Promise<unknown>): Promise<unknown> {
    let pending = true;
    const settled = call.finally(() => (pending = false));
    settled.catch(() => undefined);
    for (let waited = 0; waited < PATIENCE; waited += STEP) {
      await setImmediate();
      if (!pending) break;
      this.clock.advance(STEP);
    }
    return settled;
  }

  private get taskPath(): string {
    return `/nodes/${this.task.split(":")[1] ?? ""}/tasks/${encodeURIComponent(this.task)}`;
  }

  private async end(): Promise<string> {
    for (let waited = 0; waited <= PATIENCE; waited += STEP) {
      const status = (await this.simulator.as().call("GET", `${this.taskPath}/status`)) as { exitstatus?: string };
      if (status.exitstatus !== undefined) return steady(status.exitstatus);
      this.clock.advance(STEP);
    }
    return "still running";
  }

  private async log(): Promise<string[]> {
    await this.end();
    const lines = (await this.simulator.as().call("GET", `${this.taskPath}/log`, { limit: 0 })) as { t: string }[];
    return lines.map(({ t }) => steady(t));
  }
}

/** `TYPE ID` of a UPID. */
function nameOf(upid: string): string {
  const [, , , , , type = "", id = ""] = upid.split(":");
  return id === "" ? type : `${type} ${decodeURIComponent(id)}`;
}

const indented = (text: string): string => text.trimEnd().replace(/\n+/g, "\n        ");

function digestIn(data: unknown): string | undefined {
  const { digest } = (data ?? {}) as { digest?: unknown };
  return typeof digest === "string" ? digest : undefined;
}

/** One line for a value, one a row for a list; `wanted` is how many rows, or which keys. */
function printed(data: unknown, wanted = ""): string[] {
  const rows = /^\d+$/.test(wanted) ? Number(wanted) : Infinity;
  const keys = wanted === "" || rows !== Infinity ? undefined : wanted.split(",");
  if (!Array.isArray(data)) return [steady(JSON.stringify(data, keys))];
  if (data.length === 0) return ["[]"];
  const more = data.length > rows ? [`… and ${data.length - rows} more`] : [];
  return [...(data as unknown[]).slice(0, rows).map((row) => steady(`- ${JSON.stringify(row, keys)}`)), ...more];
}

/** Ids that a profile or a script sets are of few different digits; those that the cluster makes up are not. */
function steady(text: string): string {
  return text
    .replace(/(UPID:[\w.-]+):[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:/g, "$1:PID:PSTART:TIME:")
    .replace(/\b[0-9a-f]{40}\b/g, "DIGEST")
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, (id) => (/^(.)\1{7}-|^10000000-/.test(id) ? id : "UUID"))
    .replace(/\bBC:24:11:(?!00:0[0-2]:)(:?[0-9A-F]{2}){3}\b/g, "BC:24:11:MAC")
    .replace(/"(PVE(?:VNC)?:(?:[^":]+:)?)[^":]+::[^"]+"/g, '"$1TICKET"')
    .replace(/("CSRFPreventionToken"):"[^"]+"/g, '$1:"TOKEN"')
    .replace(/("(?:cpu|mem|memhost|diskread|diskwrite|netin|netout|pid)"):[1-9.][\d.e-]*/g, "$1:N");
}
