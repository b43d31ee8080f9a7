/**
 * Writes src/simulator/table/api.json, the simulator's own table of PVE's calls, from PVE's API schema
 * (`api-params.json`, given as the first argument). Run again only when a new PVE release is recorded.
 */
import { readFileSync, writeFileSync } from "node:fs";

type Raw = Record<string, unknown>;

/** PVE's names of a property's checks, and ours. */
const NAMES: Record<string, string> = {
  type: "type",
  optional: "optional",
  format: "format",
  minimum: "min",
  maximum: "max",
  minLength: "minLength",
  maxLength: "maxLength",
  pattern: "pattern",
  enum: "enum",
  requires: "needs",
  default_key: "defaultKey",
  alias: "alias",
  keyAlias: "keyAlias",
};

const NUMBERS = new Set(["minimum", "maximum", "minLength", "maxLength"]);

function property(raw: Raw, inline: (value: Raw) => string): Raw {
  const own: Raw = {};
  for (const [theirs, ours] of Object.entries(NAMES)) {
    const value = raw[theirs];
    if (value === undefined || value === null) continue;
    if (theirs === "optional") own[ours] = Number(value) === 1;
    else if (theirs === "defaultKey" || theirs === "default_key") own[ours] = true;
    else if (theirs === "format" && typeof value === "object") own[ours] = inline(value as Raw);
    else if (theirs === "format") own[ours] = text(value).replace(/^#/, "=");
    else if (theirs === "pattern") own[ours] = javascriptPattern(text(value));
    else own[ours] = NUMBERS.has(theirs) ? Number(value) : value;
  }
  const items = raw["items"];
  if (items !== undefined) own["items"] = property(items as Raw, inline);
  return own;
}

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** Perl prints compiled patterns as `(?^u:…)`; `{,16}` means `{0,16}` there. */
function javascriptPattern(perl: string): string {
  return perl.replace(/\(\?\^[a-z]*:/g, "(?:").replace(/\{,(\d+)\}/g, "{0,$1}");
}

function main(source: string, target: string): void {
  const schema = JSON.parse(readFileSync(source, "utf8")) as {
    version: string;
    propertyStrings: Record<string, Record<string, Raw>>;
    formats: Record<string, unknown>;
    endpoints: Record<string, Raw>;
  };
  const strings: Record<string, Raw> = {};
  let anonymous = 0;
  const inline = (value: Raw): string => {
    const name = `inline-${++anonymous}`;
    strings[name] = convert(value as Record<string, Raw>);
    return `=${name}`;
  };
  const convert = (of: Record<string, Raw>): Raw =>
    Object.fromEntries(Object.entries(of).map(([key, prop]) => [key, property(prop, inline)]));
  for (const [name, of] of Object.entries(schema.propertyStrings)) strings[name] = convert(of);
  for (const [name, of] of Object.entries(schema.formats))
    if (of !== null && typeof of === "object") strings[name] = convert(of as Record<string, Raw>);
  const calls: Record<string, Raw> = {};
  for (const raw of Object.values(schema.endpoints)) {
    const permissions = raw["permissions"] as Raw | string;
    const check = typeof permissions === "string" ? undefined : permissions["check"];
    const user = typeof permissions === "string" ? "root" : permissions["user"];
    calls[`${String(raw["method"])} ${String(raw["path"])}`] = {
      allow: user === "all" || user === "world" ? user : (check ?? user),
      ...(raw["proxyto"] === "node" && { node: true }),
      ...(raw["token"] === 0 && { noToken: true }),
      ...(Number(raw["additionalProperties"] ?? 0) === 1 && { open: true }),
      params: convert(raw["parameters"] as Record<string, Raw>),
    };
  }
  const lines = (of: Record<string, Raw>): string =>
    Object.entries(of)
      .map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`)
      .join(",\n");
  const version = JSON.stringify(schema.version);
  writeFileSync(
    target,
    `{\n "version": ${version},\n "strings": {\n${lines(strings)}\n },\n "calls": {\n${lines(calls)}\n }\n}\n`,
  );
}

main(process.argv[2] ?? "api-params.json", process.argv[3] ?? "src/simulator/table/api.json");
