import { setMaxListeners } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "../../src/cli/run.js";
import { isGone, processName } from "../../src/cli/process-name.js";
import type { Io } from "../../src/cli/io.js";

/** What a call of the program printed, and how it ended. */
export interface Called {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CallOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  /** A terminal on standard input, where prompts may ask. */
  readonly isTerminal?: boolean;
  /** Called with each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** Runs the program in this process, as `proxmoor ARGS` would. */
export async function proxmoor(args: readonly string[], options: CallOptions = {}): Promise<Called> {
  let out = "";
  let err = "";
  const signal = options.signal ?? new AbortController().signal;
  setMaxListeners(0, signal);
  const io: Io = {
    out: (text) => {
      out += text;
      options.onOutput?.(text);
    },
    err: (text) => {
      err += text;
      options.onOutput?.(text);
    },
    stdin: chunks(options.stdin ?? ""),
    isTerminal: { stdin: options.isTerminal === true, stdout: false, stderr: false },
    columns: 100,
    env: { HOME: tmpdir(), ...options.env },
    signal,
    holder: `${processName(Date.now())}:${Math.random().toString(36).slice(2)}`,
    isGone,
  };
  const code = await run(args, io);
  return { code, out, err };
}

async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  if (text !== "") yield Buffer.from(text);
}

/** A folder of one test's own; remove it in `afterEach`. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), "proxmoor-test-"));
  return { path: folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
