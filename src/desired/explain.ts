import type { ErrorObject } from "ajv";
import { parseQuantity } from "../model/quantity.js";
import { parseRef } from "../model/ref.js";
import type { Kind } from "../model/ref.js";
import { didYouMean, nearest } from "../manifests/suggest.js";
import type { Path } from "../manifests/index.js";
import { NO_PASSWORDS, fieldOfKey } from "./extra-config.js";
import { FORMATS } from "./formats.js";
import type { TextFormat } from "./formats.js";
import type { QuantityRule, Schema } from "./schema/build.js";
import { KIND_SCHEMAS, KINDS } from "./schema/index.js";
import { allowedBy, allowedKeys, pathText, scalarText, show } from "./words.js";

/** A fault by its path in the document, before it has a place. */
export interface PathFault {
  readonly path: Path;
  /** Whether it is about the key at the path or about its value. */
  readonly part: "key" | "value";
  readonly message: string;
}

/** Faults told per document: a wrong file of 10 MiB would have a hundred thousand. */
const MAX_FAULTS = 100;

/** Turns ajv's errors of one document into sentences; one per path, the most telling first. */
export function explainErrors(kind: Kind, value: unknown, errors: readonly ErrorObject[]): PathFault[] {
  const told = new Set<string>();
  const faults: PathFault[] = [];
  for (const error of errors) {
    const fault = explain(kind, value, error);
    const missing = error.keyword === "required" ? JSON.stringify(error.params) : "";
    const key = `${fault.part} ${JSON.stringify(fault.path)} ${missing}`;
    if (told.has(key) || IGNORED.has(error.keyword)) continue;
    told.add(key);
    faults.push(fault);
    if (faults.length < MAX_FAULTS) continue;
    faults.push({ path: fault.path, part: fault.part, message: "more faults follow in this document" });
    break;
  }
  return faults;
}

/** Ajv adds these when something inside failed, which is told by itself. */
const IGNORED = new Set(["if", "propertyNames"]);

function explain(kind: Kind, root: unknown, error: ErrorObject): PathFault {
  const path = pathOf(root, error.instancePath);
  const schema = (error.parentSchema ?? {}) as Schema;
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case "additionalProperties":
      return unknownKey(kind, schema, path, String(params["additionalProperty"]));
    case "required": {
      const name = String(params["missingProperty"]);
      const wanted = schema.properties?.[name];
      const allowed = wanted === undefined ? "" : `; allowed: ${allowedBy(wanted)}`;
      return { path, part: "key", message: `${pathText([...path, name])} is missing${allowed}` };
    }
    case "minProperties":
      return { path, part: "value", message: `${pathText(path)} says nothing; allowed: ${allowedKeys(schema)}` };
    case "maxLength": {
      const length = String(error.data).length;
      const message = `${pathText(path)} has ${length} characters; allowed: ${allowedBy(schema)}`;
      return { path, part: "value", message };
    }
    default: {
      const meant = didYouMean(suggestValue(schema, error.data));
      // somebody may have pasted the private key
      const seen = schema.format === "ssh-key" && typeof error.data === "string" ? "no public key" : show(error.data);
      const message = `${pathText(path)} is ${seen}; allowed: ${allowedBy(schema)}${meant}`;
      return { path, part: "value", message };
    }
  }
}

/** ajv's JSON pointer as a path; numbers where the value is a list. */
function pathOf(root: unknown, pointer: string): (string | number)[] {
  let at = root;
  return pointer
    .split("/")
    .slice(1)
    .map((step) => {
      const key = step.replace(/~1/g, "/").replace(/~0/g, "~");
      const inList = Array.isArray(at);
      at = (at as Record<string, unknown> | undefined)?.[key];
      return inList ? Number(key) : key;
    });
}

function unknownKey(kind: Kind, schema: Schema, parent: (string | number)[], key: string): PathFault {
  const path = [...parent, key];
  const known = Object.keys(schema.properties ?? {});
  if (/^(ci)?passw(or)?d$/i.test(key)) {
    return { path, part: "key", message: `${pathText(path)} ${NO_PASSWORDS}` };
  }
  if (schema.keys !== undefined) {
    const slot = key.toLowerCase().replace(/[^a-z0-9]/g, "");
    const isSlot = Object.keys(schema.patternProperties ?? {}).some((pattern) => new RegExp(pattern).test(slot));
    const meant = didYouMean(isSlot ? slot : undefined);
    const message = `${pathText(path)} is no ${schema.keys.what}; allowed: ${schema.keys.allowed}${meant}`;
    return { path, part: "key", message };
  }
  const meant = known.find((name) => name === PVE_NAMES[key]) ?? nearest(key, known) ?? elsewhere(kind, path);
  const other = meant === undefined && pathText(parent) === "spec" ? EXTRA_HINT : "";
  const allowed = [...known].sort().join(", ");
  const message = `${pathText(path)} is unknown; allowed: ${allowed}${didYouMean(meant)}${other}`;
  return { path, part: "key", message };
}

const EXTRA_HINT = "; a PVE option without a field goes to spec.extraConfig";

/** PVE's words for options inside disks, networks and addresses, for people who know them by heart. */
const PVE_NAMES: Readonly<Record<string, string>> = {
  tag: "vlan",
  macaddr: "mac",
  hwaddr: "mac",
  gw: "gateway",
  gw6: "gateway6",
  ip: "ipv4",
  ip6: "ipv6",
  ro: "readOnly",
  mp: "path",
  volume: "storage",
};

/** A field put on the wrong level, or PVE's name of one. */
function elsewhere(kind: Kind, path: readonly (string | number)[]): string | undefined {
  const key = String(path.at(-1));
  const byKey = path[0] === "spec" ? fieldOfKey(kind, key.toLowerCase()) : undefined;
  const found = byKey ?? findField(KIND_SCHEMAS[kind], key, []);
  return found === pathText(path) ? undefined : found;
}

function findField(schema: Schema, key: string, at: readonly string[]): string | undefined {
  const properties = Object.entries(schema.properties ?? {});
  if (at.length > 0 && Object.hasOwn(schema.properties ?? {}, key)) return pathText([...at, key]);
  for (const [name, child] of properties) {
    const found = findField(child, key, [...at, name]);
    if (found !== undefined) return found;
  }
  return undefined;
}

const TRUE = ["yes", "y", "on", "true", "enabled", "1"];
const FALSE = ["no", "n", "off", "false", "disabled", "0"];

function suggestValue(schema: Schema, value: unknown): string | undefined {
  if (typeof value === "object" || value === undefined) return undefined;
  const text = scalarText(value);
  if (schema.enum !== undefined) return suggestChoice(schema.enum, value);
  if (schema.const !== undefined) return nearest(text, [schema.const]);
  if (schema.quantity !== undefined) return suggestQuantity(schema.quantity, text);
  switch (schema.type) {
    case "boolean":
      if (TRUE.includes(text.toLowerCase())) return "true";
      return FALSE.includes(text.toLowerCase()) ? "false" : undefined;
    case "integer":
    case "number":
      return typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value) && inRange(schema, Number(value))
        ? `${value} without quotes`
        : undefined;
    case "array":
      return `[${text}]`;
    default:
      return suggestText(schema, value, text);
  }
}

function suggestChoice(choices: readonly string[], value: unknown): string | undefined {
  const text = scalarText(value);
  return typeof value !== "string" && choices.includes(text) ? `"${text}"` : nearest(text, choices);
}

function suggestText(schema: Schema, value: unknown, text: string): string | undefined {
  // 1.10 has become 1.1 by now, so that the text can't be shown as it was written
  if (schema.type === "string" && typeof value !== "string") return "the same in quotes";
  const format: TextFormat | undefined = schema.format === undefined ? undefined : FORMATS[schema.format];
  const meant = format?.suggest?.(text);
  return meant === text ? undefined : meant;
}

function inRange({ minimum = -Infinity, maximum = Infinity }: Schema, value: number): boolean {
  return value >= minimum && value <= maximum;
}

/** `4GB` or `4 gb` most likely means 4Gi; a bare number that is too small in bytes was meant in
 * MiB, of disks in GiB. */
function suggestQuantity({ minimum, bare }: QuantityRule, text: string): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp])i?b?(?:ytes)?$/i.exec(text.trim());
  if (match?.[1] !== undefined && match[2] !== undefined) {
    const meant = `${match[1]}${match[2].toUpperCase()}i`;
    return meant === text || (parseQuantity(meant) ?? 0) < minimum ? undefined : meant;
  }
  if (/^\d+$/.test(text) && Number(text) > 0) return `${text}${bare}`;
  return undefined;
}

/** What is wrong with a document before its kind is known; undefined where the kind is one of ours. */
export function explainKind(value: unknown): PathFault | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const message = `a manifest is a map with apiVersion, kind, metadata and spec; this is ${show(value)}`;
    return { path: [], part: "value", message };
  }
  const kind = (value as Record<string, unknown>)["kind"];
  if (kind === undefined)
    return { path: [], part: "value", message: `kind is missing; allowed: ${KINDS.join(" or ")}` };
  if (KINDS.some((known) => known === kind)) return undefined;
  const meant = typeof kind === "string" ? (parseRef(`${kind}/x`)?.kind ?? nearest(kind, KINDS)) : undefined;
  const message = `kind is ${show(kind)}; allowed: ${[...KINDS, "List"].join(", ")}${didYouMean(meant)}`;
  return { path: ["kind"], part: "value", message };
}
