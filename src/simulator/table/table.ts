import { readFileSync } from "node:fs";

/** One parameter, or one option of a property string, with PVE's checks. */
export interface Property {
  readonly type?: "string" | "integer" | "number" | "boolean" | "array" | "object" | "null";
  readonly optional?: boolean;
  /** A check of formats.ts, `=NAME` for a property string, with `-list`, `-alist`, `-opt` at the end. */
  readonly format?: string;
  readonly min?: number;
  readonly max?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  /** Another parameter that must be there too. */
  readonly needs?: string;
  readonly defaultKey?: boolean;
  readonly alias?: string;
  readonly keyAlias?: string;
  readonly items?: Property;
}

export type Properties = Readonly<Record<string, Property>>;

/** Who may call: PVE's check expression, or `all`, `world`, `root`. */
export type Rule = "all" | "world" | "root" | readonly unknown[];

export interface CallShape {
  readonly allow: Rule;
  /** Answered by the node that the path names. */
  readonly node?: boolean;
  /** Refused for API tokens. */
  readonly noToken?: boolean;
  /** Unknown parameters are accepted. */
  readonly open?: boolean;
  readonly params: Properties;
  /** Further parameters, which the value of one (`by`) chooses. */
  readonly variants?: { readonly by: string; readonly of: Readonly<Record<string, Properties>> };
}

interface Table {
  readonly version: string;
  readonly strings: Readonly<Record<string, Properties>>;
  readonly calls: Readonly<Record<string, CallShape>>;
}

// The file stays in src: it is data, and the package ships it there.
const FILE = new URL("../../../../src/simulator/table/api.json", import.meta.url);
const table = JSON.parse(readFileSync(FILE, "utf8")) as Table;

/** PVE's version that the table was made from. */
export const API_VERSION = table.version;

/** `METHOD /path/{variable}` → shape; families such as `net[0-31]` are spelled out. */
export const CALL_SHAPES: ReadonlyMap<string, CallShape> = new Map(
  Object.entries(table.calls).map(([key, shape]) => [key, { ...shape, params: spellOut(shape.params) }]),
);

/** The options of a named property string (`net-2`, `scsi`, `pve-qm-ipconfig` …). */
export function propertyString(name: string): Properties | undefined {
  return table.strings[name];
}

/** `net[0-31]` → net0 … net31: one lookup at run time instead of a search. */
function spellOut(params: Properties): Properties {
  const out: Record<string, Property> = {};
  for (const [name, property] of Object.entries(params)) {
    const family = /^(.*)\[(\d+)-(\d+)\]$/.exec(name);
    if (family === null) out[name] = property;
    else for (let i = Number(family[2]); i <= Number(family[3]); i++) out[`${family[1] ?? ""}${i}`] = property;
  }
  return out;
}
