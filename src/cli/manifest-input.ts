import path from "node:path";
import { validateManifests } from "../desired/index.js";
import type { DesiredState, Place } from "../desired/types.js";
import { readManifests } from "../manifests/index.js";
import { ProxmoorError } from "../model/errors.js";
import { formatFaults, type Fault } from "../model/fault.js";
import type { Io } from "./io.js";
import { counted } from "./output/table.js";

export interface ManifestOptions {
  readonly filename?: readonly string[];
  readonly recursive?: boolean;
}

/** What the manifests declare, and which sources were read whole. */
export interface ManifestInput {
  readonly desired: DesiredState;
  readonly files: readonly string[];
  /** The `source` of a resource declared at a place: its file, absolute. */
  readonly sourceOf: (place: Place) => string;
  /** True for sources that belong to what was read, files that are gone too. */
  readonly covers: (source: string) => boolean;
}

/** Thrown with every fault of every file; main prints them as they are. */
export class ManifestFaults extends ProxmoorError {
  constructor(readonly faults: readonly Fault[]) {
    const files = new Set(faults.map((fault) => fault.place.file)).size;
    super(
      faults[0]?.code ?? "MANIFEST_INVALID",
      `${counted(faults.length, "fault")} in ${counted(files, "file")}; nothing was contacted, nothing was changed`,
      {},
    );
  }

  get text(): string {
    return formatFaults(this.faults);
  }
}

/** Reads and validates `-f`. Throws ManifestFaults, USAGE where there is no `-f`. */
export async function readInput(options: ManifestOptions, io: Io): Promise<ManifestInput> {
  const inputs = options.filename ?? [];
  if (inputs.length === 0)
    throw new ProxmoorError("USAGE", "no manifests are given", {
      remedy: "Name files or folders with -f, or - for standard input.",
    });
  const read = await readManifests(inputs, { recursive: options.recursive === true, stdin: io.stdin });
  // documents of broken files count for faults only: all faults are told in one go
  const { guests, faults } = validateManifests([...read.documents, ...read.partial]);
  if (read.faults.length + faults.length > 0) throw new ManifestFaults([...read.faults, ...faults]);
  return { desired: { guests }, files: read.files, ...sourcesOf(inputs, options.recursive === true) };
}

/** Maps places to sources, and says which sources a set of inputs covers. */
export function sourcesOf(inputs: readonly string[], recursive: boolean): Pick<ManifestInput, "sourceOf" | "covers"> {
  const roots = inputs.map((input) => (input === "-" ? "-" : path.resolve(input)));
  return {
    sourceOf: (place) => (place.file === "-" ? "-" : path.resolve(place.file)),
    covers: (source) =>
      roots.some((root) => {
        if (source === root) return true;
        const inside = root === "-" ? ".." : path.relative(root, source);
        return (
          inside !== "" &&
          !inside.startsWith("..") &&
          !path.isAbsolute(inside) &&
          (recursive || !inside.includes(path.sep))
        );
      }),
  };
}
