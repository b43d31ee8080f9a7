import type { Fault } from "../model/fault.js";
import { STDIN, findFiles, nodeFs, unreadable } from "./find.js";
import type { ManifestFs } from "./find.js";
import { parseManifestText } from "./parse.js";
import { MAX_BYTES, decodeText } from "./text.js";
import type { ManifestDocument, ReadResult } from "./types.js";

export interface ReadOptions {
  /** Folders with all their subfolders (`-R`). */
  readonly recursive?: boolean;
  /** Standard input, read when an input is `-`. */
  readonly stdin?: AsyncIterable<Uint8Array | string>;
  /** A file system other than the machine's own, for tests. */
  readonly fs?: ManifestFs;
}

/**
 * Reads what `-f` names: files, folders (*.yaml, *.yml, *.json, not hidden, by name), `-`; each file once however often
 * it is named. Never throws: everything wrong is in `faults`, of all files in one go.
 */
export async function readManifests(inputs: readonly string[], options: ReadOptions = {}): Promise<ReadResult> {
  const fs = options.fs ?? nodeFs;
  const { files, faults } = await findFiles(inputs, { recursive: options.recursive ?? false, fs });
  const documents: ManifestDocument[] = [];
  const partial: ManifestDocument[] = [];
  for (const file of files) {
    const read = await readFile(file, fs, options.stdin);
    faults.push(...read.faults);
    (read.faults.length > 0 ? partial : documents).push(...read.documents);
  }
  if (documents.length === 0 && faults.length === 0) faults.push(emptySet(inputs));
  return { documents, partial, faults, files };
}

interface FileResult {
  readonly documents: readonly ManifestDocument[];
  readonly faults: readonly Fault[];
}

async function readFile(file: string, fs: ManifestFs, stdin: ReadOptions["stdin"]): Promise<FileResult> {
  try {
    const bytes = await collect(file === STDIN ? (stdin ?? none()) : fs.open(file));
    if (bytes === undefined) return broken(file, "is larger than 10 MiB; split it into several files");
    const decoded = decodeText(bytes);
    if ("text" in decoded) return parseManifestText(decoded.text, file);
    const { line, column, problem } = decoded;
    return broken(file, problem, { line, column });
  } catch (error) {
    return { documents: [], faults: [await unreadable(fs, file, error)] };
  }
}

function broken(
  file: string,
  message: string,
  spot: { line: number; column: number } | undefined = undefined,
): FileResult {
  return { documents: [], faults: [{ code: "MANIFEST_UNREADABLE", place: { file, ...spot }, message }] };
}

async function collect(stream: AsyncIterable<Uint8Array | string>): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as Uint8Array);
    size += bytes.length;
    if (size > MAX_BYTES) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

async function* none(): AsyncGenerator<Uint8Array> {
  // nothing was handed in as standard input
}

function emptySet(inputs: readonly string[]): Fault {
  const message =
    inputs.length === 0
      ? "no manifest was named; -f takes files, folders and - for standard input"
      : "nothing is declared: all documents are empty; a manifest is a map with apiVersion, kind, metadata and spec";
  return { code: "MANIFEST_EMPTY", place: { file: inputs[0] ?? STDIN }, message };
}
