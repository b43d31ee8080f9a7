import { parse } from "yaml";
import { ProxmoorError, messageOf } from "../model/errors.js";

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
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw wrong(messageOf(error).split("\n")[0] ?? "not YAML");
  }
  if (!isRecord(value)) throw wrong("must be a map with currentContext and contexts");
  const unknown = Object.keys(value).find((key) => key !== "currentContext" && key !== "contexts");
  if (unknown !== undefined) throw wrong(`unknown key "${unknown}"; allowed are currentContext and contexts`);
  const contexts = value["contexts"] ?? {};
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
    ...(current !== undefined && { currentContext: current }),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
