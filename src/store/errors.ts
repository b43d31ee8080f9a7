import { ProxmoorError, messageOf } from "../model/errors.js";
import type { ErrorCode, ErrorDetails } from "../model/errors.js";

/** What a driver threw, without the statement and its parameters, which may hold what no log may see. */
interface DriverFault {
  /** `SQLITE_BUSY`, a PostgreSQL SQLSTATE or a system error such as `ECONNREFUSED`. */
  readonly code: string;
  readonly text: string;
  /** PostgreSQL: which key it is about. */
  readonly detail: string | undefined;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly sentence: string;
  readonly remedy?: string;
  readonly retry?: ErrorDetails["retry"];
}

const BUSY: Meaning = {
  code: "DB_LOCKED",
  sentence: "The database is locked by another process",
  remedy: "Try again; if it stays so, look for a process that hangs while it holds the database.",
  retry: "later",
};
const DUPLICATE: Meaning = { code: "DB_DUPLICATE", sentence: "A row with this key exists already" };
const FOREIGN_KEY: Meaning = {
  code: "DB_FOREIGN_KEY",
  sentence: "A row refers to one that does not exist, or is still referred to",
};
const READ_ONLY: Meaning = {
  code: "DB_READ_ONLY",
  sentence: "The database can't be written",
  remedy: "Give this user write access to the database file and its folder, or to the tables.",
};
const CORRUPT: Meaning = {
  code: "DB_CORRUPT",
  sentence: "The database file is damaged or is no database",
  remedy: "Put a backup in its place (NAME.backup-… next to the file), or point DATABASE_URL at another file.",
};
const FULL: Meaning = { code: "DB_FULL", sentence: "The database's disk is full", retry: "later" };
const CANT_OPEN: Meaning = {
  code: "DB_UNREACHABLE",
  sentence: "The database file could not be opened",
  remedy: "Check that the path of DATABASE_URL is a file, that its folder exists and that this user may write there.",
};
const NO_CONNECTION: Meaning = {
  code: "DB_UNREACHABLE",
  sentence: "The database could not be reached",
  remedy: "Check that the server of DATABASE_URL runs and that its host and port are right.",
  retry: "later",
};
const LOG_IN: Meaning = {
  code: "DB_AUTH",
  sentence: "The database refused the log-in",
  remedy: "Check the user and the password of DATABASE_URL.",
};
const CONFLICT: Meaning = {
  code: "DB_CONFLICT",
  sentence: "Somebody else changed the same rows in between",
  retry: "later",
};

/** SQLite's result codes (sqlite.org/rescode.html), PostgreSQL's SQLSTATE (its manual, appendix A), Node's codes. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  SQLITE_BUSY: BUSY,
  SQLITE_LOCKED: BUSY,
  SQLITE_READONLY: READ_ONLY,
  SQLITE_PERM: READ_ONLY,
  SQLITE_CORRUPT: CORRUPT,
  SQLITE_NOTADB: CORRUPT,
  SQLITE_FULL: FULL,
  SQLITE_CANTOPEN: CANT_OPEN,
  EISDIR: CANT_OPEN,
  EEXIST: CANT_OPEN,
  ENOTDIR: CANT_OPEN,
  ENOENT: CANT_OPEN,
  EACCES: CANT_OPEN,
  EPERM: CANT_OPEN,
  EROFS: READ_ONLY,
  ENOSPC: FULL,
  "23505": DUPLICATE,
  "23503": FOREIGN_KEY,
  "25006": READ_ONLY,
  "42501": READ_ONLY,
  "28000": LOG_IN,
  "28P01": LOG_IN,
  "3D000": {
    code: "DB_UNREACHABLE",
    sentence: "The server has no such database",
    remedy: "Create it (CREATE DATABASE), or check the name at the end of DATABASE_URL.",
  },
  "40001": CONFLICT,
  "40P01": CONFLICT,
  "53100": FULL,
  "53300": { ...NO_CONNECTION, remedy: "The server has no connection left: lower the pool size or raise its limit." },
  "55P03": BUSY,
  "57014": { code: "DB_ERROR", sentence: "The database cancelled the statement", retry: "later" },
  "57P01": NO_CONNECTION,
  "57P02": NO_CONNECTION,
  "57P03": NO_CONNECTION,
  XX001: CORRUPT,
  XX002: CORRUPT,
};

/** Connection faults that have no code of their own; the last is TypeORM's, once it saw its connection break. */
const LOST = new RegExp(
  [
    "connection terminated",
    "connection ended unexpectedly",
    "timeout exceeded when trying to connect",
    "client has encountered a connection error",
    "query runner already released",
  ].join("|"),
  "i",
);

/**
 * The error a driver (or TypeORM around it) threw, as a ProxmoorError with a DB_ code. A ProxmoorError stays itself.
 * What is kept is the driver's sentence and code, never the statement's parameters nor a connection URL.
 */
export function storeError(error: unknown, subject?: string): ProxmoorError {
  if (error instanceof ProxmoorError) return error;
  const fault = faultOf(error);
  const meaning = meaningOf(fault);
  const keys = meaning === DUPLICATE || meaning === FOREIGN_KEY ? fault.detail : undefined;
  return new ProxmoorError(meaning.code, `${meaning.sentence}: ${keys ?? fault.text}`, {
    subject,
    remedy: meaning.remedy,
    retry: meaning.retry,
    cause: Object.assign(new Error(fault.text), { code: fault.code }),
    facts: fault.code === "" ? {} : { driverCode: fault.code },
  });
}

/** Whether the database or the way to it is to blame; false for faults of the code that used it. */
export function isStoreFault(error: unknown): boolean {
  const fault = faultOf(error);
  return fault.code !== "" || LOST.test(fault.text);
}

function meaningOf(fault: DriverFault): Meaning {
  if (fault.code === "SQLITE_CONSTRAINT") return constraint(fault.text);
  const known = MEANINGS[fault.code];
  if (known !== undefined) return known;
  const lost = fault.code.startsWith("08") || /^E(CONN|HOST|NET|PIPE|TIMEDOUT|AI_)|^ENOTFOUND/.test(fault.code);
  if (lost || LOST.test(fault.text)) return NO_CONNECTION;
  if (fault.code.startsWith("SELF_SIGNED") || /CERT|ERR_TLS/.test(fault.code)) {
    return { ...NO_CONNECTION, remedy: "Check the TLS settings of the database: CA file, host name.", retry: "never" };
  }
  return { code: "DB_ERROR", sentence: "The database answered with an error" };
}

/** SQLite has one code for all constraints and says which in words. */
function constraint(text: string): Meaning {
  if (text.includes("FOREIGN KEY")) return FOREIGN_KEY;
  if (text.includes("UNIQUE") || text.includes("PRIMARY KEY")) return DUPLICATE;
  return { code: "DB_ERROR", sentence: "The database refused the row" };
}

function faultOf(error: unknown): DriverFault {
  const layers = [error, property(error, "driverError")].filter((layer) => layer !== undefined);
  const codes = layers.map((layer) => property(layer, "code")).filter((code) => typeof code === "string");
  const details = layers.map((layer) => property(layer, "detail")).filter((detail) => typeof detail === "string");
  const inner = layers.at(-1);
  // An AggregateError of node:net (every address refused) has an empty message.
  const text = inner instanceof Error ? inner.message || (codes.at(-1) ?? inner.name) : messageOf(inner);
  return { code: codes.at(-1) ?? "", text: firstLine(text), detail: details.at(-1) };
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Whether the whole transaction may simply run again: the database took nothing of it. */
export function isTransient(error: ProxmoorError): boolean {
  return error.code === "DB_LOCKED" || error.code === "DB_CONFLICT";
}
