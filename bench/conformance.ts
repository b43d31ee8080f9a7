/**
 * Plays PVE's recorded scenario against the embedded simulator and holds each section against its mark in
 * .ci/conformance-marks.json. Marks only rise: `--write-marks` writes what was reached where it is more.
 * Further arguments go to the scenario's runner (`--section a,b`, `--verbose`).
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createSimulator } from "../src/simulator/index.js";

interface Result {
  readonly section: string;
  readonly passed: number;
  readonly failed: number;
}

type Marks = Record<string, number>;

const ROOT = path.resolve(import.meta.dirname, "../..");
const MARKS = path.join(ROOT, ".ci/conformance-marks.json");
const DIRECTORY = process.env["PVE_CONFORMANCE_DIR"] ?? path.resolve(ROOT, "../shared/pve/conformance");

/** The fixed log-ins of the scenario, from its own shell file. */
function logins(directory: string): Record<string, string> {
  const text = readFileSync(path.join(directory, "env.sh"), "utf8");
  const found = text.matchAll(/^export (\w+)='?([^'\n]*)'?$/gm);
  return Object.fromEntries([...found].map((match) => [match[1] ?? "", match[2] ?? ""]));
}

function play(url: string, json: string, more: readonly string[]): Promise<number> {
  const child = spawn("node", [path.join(DIRECTORY, "run.mjs"), "--url", url, "--json", json, ...more], {
    env: { ...process.env, ...logins(DIRECTORY) },
    stdio: "inherit",
  });
  return new Promise((resolve) => child.on("exit", (code) => resolve(code ?? 2)));
}

function compare(results: readonly Result[], marks: Marks): { passed: number; failed: number } {
  let [passed, failed] = [0, 0];
  for (const { section, passed: reached } of results) {
    const mark = marks[section] ?? 0;
    if (reached >= mark) passed++;
    else {
      failed++;
      console.log(`${section}: ${reached} exchanges, below its mark of ${mark}`);
    }
  }
  return { passed, failed };
}

function raise(results: readonly Result[], marks: Marks): void {
  for (const { section, passed } of results) marks[section] = Math.max(marks[section] ?? 0, passed);
  const sorted = Object.fromEntries(Object.entries(marks).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(MARKS, `${JSON.stringify(sorted, undefined, 2)}\n`);
}

async function main(): Promise<number> {
  if (!existsSync(path.join(DIRECTORY, "run.mjs"))) {
    console.log(`no conformance scenario in ${DIRECTORY}: skipped (PVE_CONFORMANCE_DIR says where it is)`);
    return 0;
  }
  const args = process.argv.slice(2);
  const writeMarks = args.includes("--write-marks");
  const folder = mkdtempSync(path.join(tmpdir(), "proxmoor-conformance-"));
  const json = path.join(folder, "result.json");
  const simulator = await createSimulator({ profile: "conformance" });
  try {
    const more = args.filter((arg) => arg !== "--write-marks");
    if ((await play(simulator.url, json, more)) === 2) return 2;
    const results = JSON.parse(readFileSync(json, "utf8")) as Result[];
    const marks = existsSync(MARKS) ? (JSON.parse(readFileSync(MARKS, "utf8")) as Marks) : {};
    const { passed, failed } = compare(results, marks);
    if (writeMarks) raise(results, marks);
    console.log(`${passed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  } finally {
    await simulator.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
