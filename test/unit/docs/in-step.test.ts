import { createRequire } from "node:module";
import path from "node:path";
import { expect } from "chai";
import { readText, ROOT, sections } from "./pages.js";

function section(page: string, title: string): string {
  return sections(readText(page)).find((one) => one.title === title)?.text ?? "";
}

/** The first cell's words in backticks of each row of a table. */
function firstCells(text: string): string[] {
  return [...text.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1] ?? "");
}

describe("pages that repeat what the code says", () => {
  it("architecture.md: who may import what", () => {
    interface Rule {
      readonly name: string;
      readonly comment?: string;
    }
    const load = createRequire(import.meta.url);
    const { forbidden } = load(path.join(ROOT, ".dependency-cruiser.cjs")) as { forbidden: readonly Rule[] };
    const enforced = forbidden.flatMap(({ name, comment }) => {
      const folder = /^(.*)-imports$/.exec(name)?.[1];
      const allowed = /may import: (.*)$/.exec(comment ?? "")?.[1]?.split(", ");
      return folder === undefined || allowed === undefined ? [] : [{ folder, allowed: allowed.slice(1) }];
    });
    const everything = enforced.map(({ folder }) => folder).filter((folder) => folder !== "cli");
    const expected = enforced.map(({ folder, allowed }) => {
      const all = allowed.length === everything.length;
      return `${folder}: ${all ? "all of them" : allowed.join(", ") || "nothing"}`;
    });
    const rows = section("docs/architecture.md", "Who imports what").matchAll(/^\| `([a-z]+)` *\| (.*?) *\|$/gm);
    expect([...rows].map(([, folder, cell = ""]) => `${folder}: ${cell.replaceAll("`", "")}`)).deep.equal(expected);
  });

  it("applying.md: the types of events", () => {
    const types = [...readText("src/apply/events.ts").matchAll(/type: "([a-z-]+)"/g)].map((match) => match[1]);
    expect(firstCells(section("docs/guide/applying.md", "Events"))).deep.equal(types);
  });

  it("applying.md: the states of a task", () => {
    const union = /type TaskStatus = (.*);/.exec(readText("src/apply/types.ts"))?.[1] ?? "";
    const states = [...union.matchAll(/"(\w+)"/g)].map((match) => match[1]);
    expect(firstCells(section("docs/guide/applying.md", "The tasks table"))).deep.equal(states);
  });

  it("controller.md: the metrics", () => {
    const names = readText("src/http/metrics.ts").match(/proxmoor_[a-z_]+/g) ?? [];
    const onPage = firstCells(section("docs/guide/controller.md", "Health and metrics"));
    expect(onPage.filter((name) => name.startsWith("proxmoor_")).sort()).deep.equal(names.sort());
  });

  it("controller.md: the conditions", () => {
    const union = /type ConditionType = (.*);/.exec(readText("src/model/condition.ts"))?.[1] ?? "";
    const types = [...union.matchAll(/"(\w+)"/g)].map((match) => match[1]);
    expect(firstCells(section("docs/guide/controller.md", "Conditions"))).deep.equal(types);
  });

  it("planning.md: the actions", () => {
    const union = /type Action = (.*);/.exec(readText("src/plan/types.ts"))?.[1] ?? "";
    const actions = [...union.matchAll(/"(\w+)"/g)].map((match) => match[1] ?? "");
    expect(firstCells(section("docs/guide/planning.md", "Actions")).sort()).deep.equal(actions.sort());
  });
});
