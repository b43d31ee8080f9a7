import type { Fault } from "../model/fault.js";

/** A spot in a manifest: line and column from 1, the column in UTF-16 units as editors count. */
export interface SourcePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type Path = readonly (string | number)[];

/** One object of a manifest file (items of a `kind: List` are documents of their own). */
export interface ManifestDocument {
  readonly file: string;
  /** Plain data: maps, lists, text, numbers, booleans, null; aliases and merge keys resolved. */
  readonly value: unknown;
  /**
   * Where the value at a path stands, or the key that holds it. A path that is not there gives the nearest one above
   * it; what came through an alias or a merge key gives the place where it is written.
   */
  at(path: Path, part?: "key" | "value"): SourcePlace;
}

/** What reading found. */
export interface ReadResult {
  /** The documents of the files without a fault. */
  readonly documents: readonly ManifestDocument[];
  /**
   * Documents of files that have a fault elsewhere: for validating, so that all faults are told in one go; never to be
   * applied.
   */
  readonly partial: readonly ManifestDocument[];
  readonly faults: readonly Fault[];
  /** Every file that was found, in the order it was read. */
  readonly files: readonly string[];
}
