import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Fault } from "../model/fault.js";
import { didYouMean, nearest } from "./suggest.js";
import { MAX_BYTES } from "./text.js";

/** What reading needs of a file system; a test hands in one that refuses. */
export interface ManifestFs {
  stat(path: string): Promise<{ isFile(): boolean; isDirectory(): boolean }>;
  lstat(path: string): Promise<{ isSymbolicLink(): boolean }>;
  readdir(path: string): Promise<string[]>;
  realpath(path: string): Promise<string>;
  /** The bytes of a file; may end after MAX_BYTES + 1, which is enough to know that it is too large. */
  open(path: string): AsyncIterable<Buffer>;
}

export const nodeFs: ManifestFs = {
  stat: (path) => stat(path),
  lstat: (path) => lstat(path),
  readdir: (path) => readdir(path),
  realpath: (path) => realpath(path),
  open: (path) => createReadStream(path, { end: MAX_BYTES }) as AsyncIterable<Buffer>,
};

/** The name of standard input among the arguments and in places. */
export const STDIN = "-";

const MANIFEST_NAME = /^[^.].*\.(ya?ml|json)$/i;

interface Search {
  readonly fs: ManifestFs;
  readonly recursive: boolean;
  readonly files: string[];
  readonly faults: Fault[];
  /** Real paths of files and folders that were met: each is read once, however it is reached. */
  readonly met: Set<string>;
}

/** The files that the `-f` arguments name, in their order, each once. */
export async function findFiles(
  inputs: readonly string[],
  options: { readonly recursive: boolean; readonly fs: ManifestFs },
): Promise<{ files: string[]; faults: Fault[] }> {
  const search: Search = { ...options, files: [], faults: [], met: new Set() };
  for (const input of inputs) {
    if (input === STDIN) meet(search, STDIN, STDIN);
    else await findInput(search, input);
  }
  return { files: search.files, faults: search.faults };
}

async function findInput(search: Search, input: string): Promise<void> {
  try {
    const found = await search.fs.stat(input);
    const real = await search.fs.realpath(input);
    if (!found.isDirectory()) return meet(search, real, input);
    const before = search.files.length + search.faults.length;
    const skipped = await findInFolder(search, input, real);
    if (search.files.length + search.faults.length === before && skipped !== "met") {
      search.faults.push(emptyFolder(input, search.recursive, skipped === "folders"));
    }
  } catch (error) {
    search.faults.push(await unreadable(search.fs, input, error));
  }
}

function meet(search: Search, real: string, name: string): void {
  if (search.met.has(real)) return;
  search.met.add(real);
  search.files.push(name);
}

/** Says whether something was left out: folders without -R, or all because the folder was read before. */
async function findInFolder(search: Search, folder: string, real: string): Promise<"none" | "folders" | "met"> {
  // a link back to a folder above would never end
  if (search.met.has(real)) return "met";
  search.met.add(real);
  let skipped: "none" | "folders" | "met" = "none";
  for (const name of (await search.fs.readdir(folder)).sort()) {
    if (name.startsWith(".")) continue;
    const path = join(folder, name);
    try {
      const seen = await entryKind(search.fs, path, name);
      if (seen === "folder" && search.recursive) await findInFolder(search, path, await search.fs.realpath(path));
      else if (seen === "folder") skipped = "folders";
      else if (seen === "manifest") {
        const realFile = await search.fs.realpath(path);
        if (search.met.has(realFile)) skipped = "met";
        meet(search, realFile, path);
      }
    } catch (error) {
      search.faults.push(await unreadable(search.fs, path, error));
    }
  }
  return skipped;
}

async function entryKind(fs: ManifestFs, path: string, name: string): Promise<"folder" | "manifest" | "other"> {
  try {
    const found = await fs.stat(path);
    if (found.isDirectory()) return "folder";
    return found.isFile() && MANIFEST_NAME.test(name) ? "manifest" : "other";
  } catch (error) {
    // a broken link or a file just removed matters only under a manifest's name
    if (MANIFEST_NAME.test(name)) throw error;
    return "other";
  }
}

function emptyFolder(folder: string, recursive: boolean, hasFolders: boolean): Fault {
  const hint = !recursive && hasFolders ? "; subfolders are read with -R" : "";
  const message = `no manifest in this folder; files named *.yaml, *.yml and *.json are read, hidden ones are not${hint}`;
  return { code: "MANIFEST_EMPTY", place: { file: folder }, message };
}

const REASONS: Record<string, string> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is no folder",
  ELOOP: "its links go round in a circle",
  ENAMETOOLONG: "the path is too long",
  EMFILE: "too many files are open",
  EIO: "the disk reports an error",
};

/** Why a path can't be read, as a fault of its own. */
export async function unreadable(fs: ManifestFs, path: string, error: unknown): Promise<Fault> {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = code === "ENOENT" ? await missing(fs, path) : (REASONS[code] ?? (code || String(error)));
  return { code: "MANIFEST_UNREADABLE", place: { file: path }, message: `can't be read: ${reason}` };
}

async function missing(fs: ManifestFs, path: string): Promise<string> {
  try {
    if ((await fs.lstat(path)).isSymbolicLink()) return "it is a link to something that does not exist";
  } catch {
    // it is really not there
  }
  try {
    const names = (await fs.readdir(dirname(path))).filter((name) => !name.startsWith("."));
    const near = nearest(basename(path), names);
    return `there is no such file or folder${didYouMean(near === undefined ? undefined : join(dirname(path), near))}`;
  } catch {
    return "there is no such file or folder";
  }
}
