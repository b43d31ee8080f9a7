import { CommanderError } from "commander";
import { describeError, ProxmoorError } from "../model/errors.js";
import type { Io } from "./io.js";
import { ManifestFaults } from "./manifest-input.js";
import { buildProgram, exitCodeOf } from "./program.js";

/** One call of the program: parses, runs, prints errors, gives the exit code. Never throws. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let exitCode = 0;
  const program = buildProgram(io, (result) => (exitCode = result.exitCode));
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOf(error);
    if (io.signal.aborted) {
      io.err("Interrupted.\n");
      return 130;
    }
    if (error instanceof ManifestFaults) io.err(`${error.text}\n`);
    io.err(`error: ${describeError(error)}\n`);
    if (!(error instanceof ProxmoorError) && error instanceof Error)
      io.err(`${error.stack ?? ""}\nThis is a fault in Proxmoor; please report it.\n`);
    return 2;
  }
}
