import { expect } from "chai";
import type { FieldValue } from "../../../src/desired/types.js";
import type { Kind } from "../../../src/model/ref.js";
import type { ObservedGuest } from "../../../src/observed/types.js";
import { formatValue } from "../../../src/plan/format.js";
import { defaultOf, effectOf, isSticky } from "../../../src/plan/rules.js";
import { readText, sections } from "./pages.js";

/** A row of one of the tables: its paths and the three cells behind them, blanks made one. */
interface Row {
  readonly paths: readonly string[];
  readonly said: string;
  readonly whole: boolean;
}

const effects = sections(readText("docs/guide/planning.md")).find(({ title }) => title === "Effects")?.text ?? "";
const [, machines = "", containers = ""] = effects.split(/^### .*$/m);

function rowsOf(table: string): Row[] {
  return table
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .filter((cells) => cells[1]?.startsWith("`"))
    .map(([, first = "", ...rest]) => ({
      paths: [...first.replace(/\(.*\)/, "").matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
      said: rest.slice(0, 3).join(" | "),
      whole: first.includes("as a whole"),
    }));
}

function guest(kind: Kind, hotplug: string): ObservedGuest {
  return {
    kind,
    vmid: 100,
    node: "pve1",
    status: "running",
    template: false,
    tags: [],
    config: { hotplug },
    pending: {},
    digest: "",
    fields: {},
    pendingFields: [],
    identities: [],
  };
}

/** The row as the rules have it, in the page's words. */
function ruled(kind: Kind, path: string, whole: boolean): string {
  const fallback = defaultOf(kind, path);
  const out = isSticky(kind, path) ? "stays" : fallback === undefined ? "unset" : "default";
  const gone = path.startsWith("networks.") ? "removed" : "detached";
  return [effectText(kind, path), fallbackText(path, fallback), whole ? gone : out].join(" | ");
}

function effectText(kind: Kind, path: string): string {
  const usual = effectOf(guest(kind, "1"), path, "1");
  if (path.endsWith(".size")) return `${usual}, growth only`;
  if (effectOf(guest(kind, "1"), path, undefined) !== usual)
    return `${usual} when new, ${effectOf(guest(kind, "1"), path, undefined)} when detached`;
  for (const feature of ["network", "disk", "usb", "memory", "cpu"]) {
    const all = ["network", "disk", "usb"];
    const has = all.includes(feature);
    const others = has ? all.filter((one) => one !== feature) : [...all, feature];
    const other = effectOf(guest(kind, others.join(",")), path, "1");
    if (other !== usual) return `${usual}, ${has ? "without" : "with"} hotplug \`${feature}\` ${other}`;
  }
  return usual;
}

function fallbackText(path: string, value: FieldValue | undefined): string {
  if (value === undefined) return "";
  if (value === "") return "empty";
  return Array.isArray(value) && value.length === 0 ? "none" : formatValue(path, value);
}

describe("the tables of effects in docs/guide/planning.md", () => {
  for (const [kind, table] of [
    ["VirtualMachine", machines],
    ["Container", containers],
  ] as const)
    it(`say of a ${kind} what src/plan/rules.ts says`, () => {
      const rows = rowsOf(table);
      const onPage = rows.flatMap(({ paths, said }) => paths.map((path) => `${path}: ${said}`));
      const inRules = rows.flatMap(({ paths, whole }) => paths.map((path) => `${path}: ${ruled(kind, path, whole)}`));
      expect(onPage).length.greaterThan(25);
      expect(onPage).deep.equal(inRules);
    });
});
