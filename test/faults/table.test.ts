import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect } from "chai";
import { parseFaults } from "../../src/cli/commands/simulator-faults.js";
import { doubleWrites } from "../support/double-writes.js";
import { duration, play, writesOf } from "./scenarios.js";

const PAGE = path.join(import.meta.dirname, "../../../docs/guide/faults.md");
const HEAD = "| Fault ";

/** A row of the page's table: what is put in, in words what Proxmoor does, and what came out of it. */
interface Row {
  readonly fault: string;
  readonly at: string;
  readonly rule: string;
  readonly does: string;
  readonly outcome: readonly string[];
}

const cellsOf = (line: string): string[] =>
  line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
const plain = (cell: string): string => cell.replace(/^`(.*)`$/, "$1");

function readTable(): { lines: string[]; first: number; rows: Row[] } {
  const lines = readFileSync(PAGE, "utf8").split("\n");
  const first = lines.findIndex((line) => line.startsWith(HEAD)) + 2;
  const end = lines.findIndex((line, index) => index >= first && !line.startsWith("|"));
  const rows = lines.slice(first, end).map((line): Row => {
    const [fault = "", at = "", rule = "", does = "", ...outcome] = cellsOf(line);
    return { fault, at, rule: plain(rule), does, outcome: outcome.map(plain) };
  });
  return { lines, first, rows };
}

/** What a row's rule leads to: the writes, how long the run took, how it ended, and how the next one does. */
async function outcomeOf({ at, rule }: Row): Promise<string[]> {
  const { first, second } = await play(at, (lab) => lab.simulator.faults.add(parseFaults(rule, "rule")));
  expect(doubleWrites([...first.requests, ...second.requests])).to.deep.equal([]);
  const advice = first.remedies.filter((text) => text !== "").join(" ");
  const ended = advice === "" ? first.text : `${first.text} – ${advice}`;
  const warnings = first.events.flatMap((event) => (event.type === "step-done" ? (event.warnings ?? []) : []));
  const told = [ended.replaceAll("\n", "; "), ...warnings.map((text) => `warning: ${text}`)].join("; ");
  return [writesOf(first), duration(first.ms), told, second.text.replaceAll("\n", "; ") || "nothing to do"];
}

const { rows } = readTable();

/** `FAULT_TABLE=write` puts what came out into the page, for a person to judge. */
const written = process.env["FAULT_TABLE"] === "write" ? new Map<string, string[]>() : undefined;

describe("the table of faults in docs/guide/faults.md", () => {
  for (const row of rows)
    it(`${row.fault}: ${row.does}`, async () => {
      const outcome = await outcomeOf(row);
      if (written !== undefined) written.set(row.fault, outcome);
      else expect(outcome).to.deep.equal(row.outcome);
      expect(row.does).to.not.equal("");
    });

  it("has every kind of fault, each under a name of its own", () => {
    const kinds = rows.flatMap(({ rule }) => parseFaults(rule, "rule").map(({ effect }) => Object.keys(effect)[0]));
    expect([...new Set(kinds)].sort()).to.deep.equal(
      "answer close down expire fields idle latency lock offline permission person skew storage task".split(" "),
    );
    expect(new Set(rows.map(({ fault }) => fault)).size).to.equal(rows.length);
  });

  after(() => {
    if (written === undefined) return;
    const { lines, first } = readTable();
    const escape = (cell: string): string => cell.replaceAll("|", "\\|");
    const made = rows.map(({ fault, at, rule, does, outcome }) => {
      const [writes = "", time = "", ended = "", next = ""] = written.get(fault) ?? outcome;
      return `| ${[fault, at, `\`${rule}\``, does, writes, time, `\`${ended}\``, `\`${next}\``].map(escape).join(" | ")} |`;
    });
    lines.splice(first, rows.length, ...made);
    writeFileSync(PAGE, lines.join("\n"));
  });
});
