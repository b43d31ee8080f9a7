import type { Call } from "../../call.js";
import { fail } from "../../fault.js";
import type { AgentState, Guest, Running } from "../../state/model.js";
import { hostName } from "./agent-facts.js";

interface Inside {
  readonly guest: Guest;
  readonly run: Running;
}

/** Milliseconds that a program takes. */
const PROGRAM_MS = 500;
const FIRST_PID = 1001;

/** The few programs that a simulated system has: what they print, and their exit code. */
function execute(
  inside: Inside,
  [program = "", ...args]: readonly string[],
  input: string,
): { out: string; code: number } {
  const name = program.replace(/^.*\//, "");
  switch (name) {
    case "hostname":
      return { out: `${hostName(inside.guest)}\n`, code: 0 };
    case "echo":
      return { out: `${args.join(" ")}\n`, code: 0 };
    case "cat":
      return { out: args.length === 0 ? input : args.map((file) => fileOf(inside, file) ?? "").join(""), code: 0 };
    case "true":
    case "sh":
    case "bash":
      return { out: "", code: 0 };
    case "false":
      return { out: "", code: 1 };
    default:
      return fail(
        `VM ${inside.guest.vmid} qga command 'guest-exec' failed - Failed to execute child process “${program}” (No such file or directory)`,
      );
  }
}

function fileOf({ guest, run }: Inside, file: string): string | undefined {
  return run.agent?.files?.[file] ?? (file === "/etc/hostname" ? `${hostName(guest)}\n` : undefined);
}

/** POST exec: the program runs on, its output is asked for later. */
export function reachExec(call: Call, inside: Inside): { pid: number } {
  const given = call.params["command"] ?? [];
  const done = execute(inside, typeof given === "string" ? [given] : given, call.text("input-data") ?? "");
  const state: AgentState = (inside.run.agent ??= {});
  const programs = (state.programs ??= []);
  programs.push({ ...done, endsAt: call.world.clock.now() + PROGRAM_MS / call.world.speed });
  call.world.changed();
  return { pid: FIRST_PID + programs.length - 1 };
}

/** GET exec-status. */
export function reachExecStatus(call: Call, { guest, run }: Inside): Record<string, unknown> {
  const found = run.agent?.programs?.[(call.int("pid") ?? 0) - FIRST_PID];
  if (found === undefined) fail(`VM ${guest.vmid} qga command 'guest-exec-status' failed - Invalid parameter 'pid'`);
  if (call.world.clock.now() < found.endsAt) return { exited: 0 };
  return { exited: 1, exitcode: found.code, ...(found.out !== "" && { "out-data": found.out }) };
}

/** GET file-read: no `result` around it. */
export function readFile(call: Call, inside: Inside): Record<string, unknown> {
  const file = call.need("file");
  const whole = fileOf(inside, file);
  if (whole === undefined) fail(`Agent error: failed to open file '${file}' (mode: 'r'): No such file or directory`);
  const [offset, count] = [call.int("offset") ?? 0, call.int("count") ?? Infinity];
  const bytes = Buffer.from(whole).subarray(offset, offset + count);
  const content = call.flag("decode", true) ? bytes.toString() : bytes.toString("base64");
  const truncated = offset + bytes.length < Buffer.byteLength(whole);
  return { content, "bytes-read": bytes.length, ...(truncated && { truncated: 1 }) };
}

/** POST file-write: with `encode=0` the content is base64 already. */
export function writeFile(call: Call, { run }: Inside): null {
  const given = call.need("content");
  const content = call.flag("encode", true) ? given : Buffer.from(given, "base64").toString();
  run.agent = { ...run.agent, files: { ...run.agent?.files, [call.need("file")]: content } };
  call.world.changed();
  return null;
}
