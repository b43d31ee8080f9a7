import { parseDocument } from "yaml";
import { ProxmoorError } from "../model/errors.js";

/** The context file's form: `currentContext` and `contexts` by name. */
export interface ContextFile {
  readonly path: string;
  readonly currentContext?: string;
  readonly contexts: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const KEYS = [
  "endpoint",
  "apiToken",
  "apiTokenFile",
  "username",
  "password",
  "passwordFile",
  "caFile",
  "fingerprint",
  "insecure",
  "databaseUrl",
  "databaseUrlFile",
  "databaseProvider",
];

/** Reads the context file's text. Throws CONFIG_INVALID with the path and what is wrong. */
export function parseContextFile(path: string, text: string): ContextFile {
  const wrong = (what: string) =>
    new ProxmoorError("CONFIG_INVALID", `${path}: ${what}`, { remedy: "docs/guide/configuration.md shows the form." });
  const value = read(text, wrong);
  if (!isRecord(value)) throw wrong("must be a map with currentContext and contexts");
  const unknown = Object.keys(value).find((key) => key !== "currentContext" && key !== "contexts");
  if (unknown !== undefined) throw wrong(`unknown key "${unknown}"; allowed are currentContext and contexts`);
  const contexts = value["contexts"] === "" ? {} : (value["contexts"] ?? {});
  if (!isRecord(contexts)) throw wrong("contexts must be a map of names to settings");
  for (const [name, settings] of Object.entries(contexts)) {
    if (!isRecord(settings)) throw wrong(`context "${name}" must be a map of settings`);
    const odd = Object.keys(settings).find((key) => !KEYS.includes(key));
    if (odd !== undefined) throw wrong(`context "${name}": unknown key "${odd}"; allowed are ${KEYS.join(", ")}`);
  }
  const current = value["currentContext"];
  if (current !== undefined && typeof current !== "string") throw wrong("currentContext must be the name of a context");
  return {
    path,
    contexts: contexts as ContextFile["contexts"],
    ...(current !== undefined && current !== "" && { currentContext: current }),
  };
}

/**
 * Every scalar as it is written: a password of digits stays one. yaml's own messages quote the text, which holds
 * secrets, so that just their place is told.
 */
function read(text: string, wrong: (what: string) => ProxmoorError): unknown {
  const document = parseDocument(text, { schema: "failsafe", logLevel: "silent" });
  const hint = "quote values that start or end with a special character";
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault) {
    const { line, col } = fault.linePos?.[0] ?? { line: 1, col: 1 };
    throw wrong(`not valid YAML at line ${line}, column ${col}; ${hint}`);
  }
  try {
    return document.contents === null ? {} : (document.toJS() as unknown);
  } catch {
    throw wrong(`an alias (*name) names nothing; ${hint}`);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
