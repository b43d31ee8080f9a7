import { assertNever } from "../../model/assert-never.js";
import type { ApplyEvent } from "../../apply/events.js";
import type { Io } from "../io.js";
import { toJson } from "./json.js";
import { styleFor, type Style } from "./style.js";
import { formatDuration } from "./table.js";

/** Shows a run while it goes on. */
export interface ProgressView {
  event(event: ApplyEvent): void;
  /** Clears what is live on the screen. */
  end(): void;
}

/** One JSON object a line for programs, a live region on a terminal, a line per event otherwise. */
export function progressView(output: string | undefined, io: Io, now: () => number): ProgressView {
  if (output === "json")
    return {
      event: (event) => io.out(`${toJson({ time: new Date(now()).toISOString(), ...event }, true)}\n`),
      end: () => undefined,
    };
  const style = styleFor(io.isTerminal.stderr, io.env);
  if (!io.isTerminal.stderr) return { event: (event) => printLine(event, style, io), end: () => undefined };
  return new LiveView(io, style, now);
}

function printLine(event: ApplyEvent, style: Style, io: Io): void {
  const line = lineOf(event, style);
  if (line !== undefined) io.err(`${line}\n`);
}

/** An event as a line of its own; undefined for what only a live view shows. */
function lineOf(event: ApplyEvent, style: Style): string | undefined {
  const key = style.bold(event.key);
  switch (event.type) {
    case "recovered":
      return `${key}: from an earlier run: ${event.text}`;
    case "change-started":
      return `${key}: ${event.action}${event.vmid === undefined ? "" : ` (vmid ${event.vmid} on ${event.node ?? "?"})`}`;
    case "step-started":
    case "step-submitted":
    case "step-progress":
      return undefined;
    case "step-waiting":
      return `${key}: ${event.op} waits ${formatDuration(event.ms)}: ${event.text}`;
    case "step-done":
      return `${key}: ${event.op} ${style.green("done")} in ${formatDuration(event.ms)}${warned(event.warnings, style)}`;
    case "step-failed":
      return [
        `${key}: ${event.op} ${style.red("failed")}: ${event.text}`,
        ...event.log.slice(-5).map((line) => `    ${line}`),
      ].join("\n");
    case "change-done":
      return event.pending.length === 0 ? undefined : `${key}: waits for a restart: ${event.pending.join(", ")}`;
    case "change-failed":
      return `${key}: ${event.action} ${style.red("failed")}: ${event.text} [${event.code}]`;
    case "change-skipped":
      return `${key}: ${event.action} ${style.yellow("skipped")}: ${event.because}`;
    default:
      return assertNever(event);
  }
}

function warned(warnings: string | undefined, style: Style): string {
  return warnings === undefined ? "" : `, ${style.yellow("with warnings")}: ${warnings}`;
}

interface Running {
  readonly since: number;
  op: string;
  text: string;
  percent: number | undefined;
}

/** Ended things scroll by; below them stands one line per running task, drawn anew with every event. */
class LiveView implements ProgressView {
  readonly #running = new Map<string, Running>();
  #drawn = 0;

  constructor(
    readonly io: Io,
    readonly style: Style,
    readonly now: () => number,
  ) {}

  event(event: ApplyEvent): void {
    if (event.type === "step-started")
      this.#running.set(event.key, {
        since: this.now(),
        op: event.op,
        text: `step ${event.step} of ${event.steps}`,
        percent: undefined,
      });
    if (event.type === "step-progress") {
      const running = this.#running.get(event.key);
      if (running) Object.assign(running, { text: event.text, percent: event.percent });
    }
    if (event.type === "step-done" || event.type === "change-done" || event.type === "change-failed")
      this.#running.delete(event.key);
    const line = lineOf(event, this.style);
    this.#draw(line === undefined ? "" : `${line}\n`);
  }

  end(): void {
    this.#running.clear();
    this.#draw("");
  }

  #draw(above: string): void {
    const erase = this.#drawn === 0 ? "" : `\u001b[${this.#drawn}A\u001b[0J`;
    const rows = [...this.#running].map(([key, one]) => this.#row(key, one));
    this.#drawn = rows.length;
    this.io.err(`${erase}${above}${rows.map((row) => `${row}\n`).join("")}`);
  }

  #row(key: string, { since, op, text, percent }: Running): string {
    const bar =
      percent === undefined ? "" : ` [${"#".repeat(Math.floor(percent / 5)).padEnd(20, ".")}] ${percent.toFixed(0)}%`;
    return `  ${key} ${op}${bar} ${formatDuration(this.now() - since)} ${text}`.slice(
      0,
      Math.max(20, this.io.columns - 1),
    );
  }
}
