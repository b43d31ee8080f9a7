import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

/** A real process of the program, for what only a process can show: kill -9, signals, exit codes. */
export interface RunningProgram {
  readonly child: ChildProcess;
  /** What it printed so far. */
  output(): { out: string; err: string };
  /** Waits for its end: the exit code, or the signal that ended it. */
  ended(): Promise<number | NodeJS.Signals>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts `proxmoor ARGS`. End it in any case: `kill` and `ended`. */
export function startProgram(
  args: readonly string[],
  options: { env: Readonly<Record<string, string>>; cwd: string },
): RunningProgram {
  const keep = ["PATH", "NODE_V8_COVERAGE"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  const env = { ...(Object.fromEntries(keep) as Record<string, string>), NO_COLOR: "1", ...options.env };
  const child = spawn(process.execPath, ["--enable-source-maps", MAIN, ...args], {
    cwd: options.cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (part: Buffer) => (out += part.toString()));
  child.stderr.on("data", (part: Buffer) => (err += part.toString()));
  const end = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once("close", (code, signal) => resolve(code ?? signal ?? 1)),
  );
  return { child, output: () => ({ out, err }), ended: () => end, kill: (signal) => void child.kill(signal) };
}

/** Waits until something is so; fails after a minute, saying what it waited for. */
export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 25)))
    if (await check()) return;
  throw new Error(`waited a minute for: ${what}`);
}
