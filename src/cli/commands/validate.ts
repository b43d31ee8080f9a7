import { refKey } from "../../model/ref.js";
import type { CommandResult, Io } from "../io.js";
import { readInput, type ManifestOptions } from "../manifest-input.js";
import { toJson } from "../output/json.js";
import { counted } from "../output/table.js";

/** `proxmoor validate`: reads and checks manifests, contacts nothing. */
export async function validate(
  options: ManifestOptions & { readonly output?: string },
  io: Io,
): Promise<CommandResult> {
  const { desired, files } = await readInput(options, io);
  const refs = desired.guests.map((guest) => refKey(guest.ref));
  if (options.output === "json") io.out(`${toJson({ files, guests: refs })}\n`);
  else io.out(`${counted(files.length, "file")}, ${counted(refs.length, "guest")}: ${refs.join(", ")}\nNo faults.\n`);
  return { exitCode: 0 };
}
