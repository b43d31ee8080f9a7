import type { ErrorCode } from "./errors.js";

/** Where a fault stands: the file as given on the command line (`-` is standard input); line and column from 1. */
export interface FaultPlace {
  readonly file: string;
  /** Absent where the fault is about the file or folder as a whole. */
  readonly line?: number;
  readonly column?: number;
}

/** Something wrong with the manifests: collected, never thrown, so that all of them are told in one go. */
export interface Fault {
  readonly code: ErrorCode;
  readonly place: FaultPlace;
  /** What is wrong; what is allowed; did you mean …: one line, never a secret. */
  readonly message: string;
}

/** `manifests/web.yaml:3:7`, or the file alone. */
export function formatPlace(place: FaultPlace): string {
  const line = place.line === undefined ? "" : `:${place.line}`;
  const column = place.line === undefined || place.column === undefined ? "" : `:${place.column}`;
  return `${place.file}${line}${column}`;
}

/** Orders faults by file, then as they stand in it. */
export function compareFaults(a: Fault, b: Fault): number {
  const file = a.place.file < b.place.file ? -1 : a.place.file > b.place.file ? 1 : 0;
  const line = (a.place.line ?? 0) - (b.place.line ?? 0);
  return file || line || (a.place.column ?? 0) - (b.place.column ?? 0);
}

/** One line per fault, `file:line:col: what is wrong; …`, ordered by place, each said once. */
export function formatFaults(faults: readonly Fault[]): string {
  const lines = [...faults].sort(compareFaults).map((fault) => `${formatPlace(fault.place)}: ${fault.message}`);
  return [...new Set(lines)].join("\n");
}
