import { ALL_PRIVILEGES } from "../auth/roles.js";
import type { FaultRule, Trigger } from "./rules.js";
import { triggerOf } from "./rules.js";

/** Something wrong with a rule, and where: `[0, "effect", "answer", "status"]`. */
export interface FaultComplaint {
  readonly path: readonly (string | number)[];
  readonly text: string;
}

/** Rules that can't be used, with everything that is wrong about them. */
export class FaultRuleError extends Error {
  constructor(readonly complaints: readonly FaultComplaint[]) {
    super(complaints.map(({ path, text }) => `${printPath(path)}: ${text}`).join("; "));
    this.name = "FaultRuleError";
  }
}

/** `faults[0].effect.answer.status` */
export function printPath(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, part) => text + (typeof part === "number" ? `[${part}]` : `.${part}`), "faults");
}

type Path = readonly (string | number)[];
/** Tells what is wrong with a value. */
type Check = (value: unknown, path: Path, told: FaultComplaint[]) => void;

const wrong = (told: FaultComplaint[], path: Path, text: string): void => void told.push({ path, text });

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
};

function number({ least, most }: { least: number; most?: number }, whole = true): Check {
  const range = most === undefined ? `from ${least}` : `from ${least} to ${most}`;
  return (value, path, told) => {
    const isFit = typeof value === "number" && value >= least && value <= (most ?? Number.MAX_SAFE_INTEGER);
    if (!isFit || (whole && !Number.isInteger(value)))
      wrong(told, path, `must be a ${whole ? "whole " : ""}number ${range}, not ${show(value)}`);
  };
}

const ms = number({ least: 0 });

const text: Check = (value, path, told) => {
  if (typeof value !== "string" || value === "") wrong(told, path, `must be a text, not ${show(value)}`);
};

const flag: Check = (value, path, told) => {
  if (typeof value !== "boolean") wrong(told, path, `must be true or false, not ${show(value)}`);
};

function oneOf(words: readonly string[], what = words.join(", ")): Check {
  return (value, path, told) => {
    if (typeof value !== "string" || !words.includes(value))
      wrong(told, path, `must be one of ${what}, not ${show(value)}`);
  };
}

/** One value or a list of them, not empty. */
function some(check: Check): Check {
  return (value, path, told) => {
    if (!Array.isArray(value)) check(value, path, told);
    else if (value.length === 0) wrong(told, path, "must not be empty");
    else for (const [index, item] of value.entries()) check(item, [...path, index], told);
  };
}

function object(fields: Readonly<Record<string, Check>>, required: readonly string[] = []): Check {
  const names = Object.keys(fields).join(", ");
  return (value, path, told) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return wrong(told, path, `must be a mapping with ${names}, not ${show(value)}`);
    for (const [name, item] of Object.entries(value)) {
      const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (check === undefined) wrong(told, [...path, name], `there is no such field; there are ${names}`);
      else check(item, [...path, name], told);
    }
    for (const name of required) if (!Object.hasOwn(value, name)) wrong(told, path, `lacks ${name}`);
  };
}

/** The shape itself, or the one field of it that is mostly meant. */
function short(field: string, check: Check): Check {
  return (value, path, told) => {
    const isShort = typeof value !== "object" || Array.isArray(value);
    check(isShort ? { [field]: value } : value, path, told);
  };
}

const status: Check = (value, path, told) => {
  const isFit = typeof value === "number" && Number.isInteger(value) && value >= 500 && value <= 599;
  if (!isFit) wrong(told, path, `must be a status from 500 to 599, not ${show(value)}`);
};

const path: Check = (value, at, told) => {
  if (typeof value !== "string" || !value.startsWith("/"))
    wrong(told, at, `must be a path below /api2/json that begins with a slash, not ${show(value)}`);
};

const DEEDS = ["edit", "stop", "delete", "clone", "migrate", "reuse"];

/** Each effect with its shape, its short form, and what may set it off. */
const EFFECTS: Readonly<Record<string, { readonly check: Check; readonly by?: readonly Trigger[] }>> = {
  latency: { check: short("ms", object({ ms, jitter: ms }, ["ms"])), by: ["request", "task"] },
  answer: { check: short("status", object({ status, reason: text, taken: flag }, ["status"])), by: ["request"] },
  close: { check: oneOf(["before", "after", "middle"]), by: ["request"] },
  idle: { check: ms, by: ["request"] },
  lock: { check: oneOfTrue, by: ["request", "task"] },
  fields: { check: object({ unknown: flag, missing: some(text) }), by: ["request"] },
  task: {
    check: short("how", object({ how: oneOf(["fail", "hang", "warn", "vanish"]), text, done: flag }, ["how"])),
    by: ["task"],
  },
  offline: { check: short("node", object({ node: text, for: ms }, ["node"])) },
  down: { check: short("for", object({ for: ms }, ["for"])) },
  storage: { check: object({ id: text, full: flag, slow: ms, for: ms }, ["id"]) },
  permission: {
    check: object({ take: some(oneOf(ALL_PRIVILEGES, "PVE's privileges (VM.PowerMgmt …)")), for: ms }, ["take"]),
  },
  expire: { check: object({ for: ms }) },
  person: { check: short("does", object({ does: some(oneOf(DEEDS)), vmid: number({ least: 100 }) }, ["does"])) },
  skew: { check: short("ms", object({ ms: number({ least: -1e12 }) }, ["ms"])) },
};

function oneOfTrue(value: unknown, path: Path, told: FaultComplaint[]): void {
  if (value !== true) wrong(told, path, `must be true, not ${show(value)}`);
}

const effect: Check = (value, path, told) => {
  const names = Object.keys(EFFECTS).join(", ");
  const isMapping = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isMapping) return wrong(told, path, `must be a mapping with one of ${names}, not ${show(value)}`);
  const keys = Object.keys(value);
  if (keys.length !== 1) return wrong(told, path, `must have one field, one of ${names}, not ${show(value)}`);
  object(Object.fromEntries(Object.entries(EFFECTS).map(([name, { check }]) => [name, check])))(value, path, told);
};

const method = some(oneOf(["GET", "POST", "PUT", "DELETE"]));
const match = object({ method, path, task: text, every: number({ least: 1 }), at: ms });
const rule = object(
  {
    name: text,
    match,
    after: number({ least: 0 }),
    count: number({ least: 1 }),
    probability: number({ least: 0, most: 1 }, false),
    effect,
  },
  ["match", "effect"],
);

/** What is set off by what: only once the shapes are right. */
function checkTogether({ match: of, effect: does }: FaultRule, path: Path, told: FaultComplaint[]): void {
  const isRequest = of.method !== undefined || of.path !== undefined;
  const kinds = [isRequest, of.task !== undefined, of.every !== undefined, of.at !== undefined].filter(Boolean).length;
  if (kinds > 1)
    return wrong(told, [...path, "match"], "must be about requests (method, path), tasks (task) or time (every, at)");
  const [kind = ""] = Object.keys(does);
  const by = EFFECTS[kind]?.by;
  const trigger = triggerOf(of);
  if (by !== undefined && !by.includes(trigger))
    wrong(told, [...path, "effect", kind], `is set off by a ${by.join(" or a ")}, and the match is about ${trigger}`);
}

/** The short forms (`latency: 200`) written out. */
function inFull(rule: FaultRule): FaultRule {
  const fields: Readonly<Record<string, string>> = {
    ...{ latency: "ms", answer: "status", task: "how", offline: "node", down: "for", person: "does", skew: "ms" },
  };
  const [[kind = "", value] = []] = Object.entries(rule.effect);
  const field = fields[kind];
  if (field === undefined || (typeof value === "object" && !Array.isArray(value))) return rule;
  return { ...rule, effect: { [kind]: { [field]: value as unknown } } as unknown as FaultRule["effect"] };
}

/** Lists of one written as what they hold. */
function asLists(rule: FaultRule): FaultRule {
  const { effect } = rule;
  if ("permission" in effect)
    return { ...rule, effect: { permission: { ...effect.permission, take: [effect.permission.take].flat() } } };
  if (!("fields" in effect) || effect.fields.missing === undefined) return rule;
  return { ...rule, effect: { fields: { ...effect.fields, missing: [effect.fields.missing].flat() } } };
}

/** A list of rules as YAML or JSON has them, or `{faults: […]}`. @throws FaultRuleError with all that is wrong */
export function readFaults(value: unknown): readonly FaultRule[] {
  const told: FaultComplaint[] = [];
  if (!Array.isArray(value))
    throw new FaultRuleError([{ path: [], text: `must be a list of rules, not ${show(value)}` }]);
  for (const [index, item] of value.entries()) {
    const before = told.length;
    rule(item, [index], told);
    if (told.length === before) checkTogether(item as FaultRule, [index], told);
  }
  if (told.length > 0) throw new FaultRuleError(told);
  return (value as FaultRule[]).map((one) => asLists(inFull(one)));
}
