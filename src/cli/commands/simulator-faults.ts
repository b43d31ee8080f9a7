import { readFile } from "node:fs/promises";
import { LineCounter, parseDocument, type Document } from "yaml";
import { formatFaults, type Fault } from "../../model/fault.js";
import { messageOf, ProxmoorError } from "../../model/errors.js";
import { FaultRuleError, printPath, readFaults, type FaultComplaint, type FaultRule } from "../../simulator/index.js";
import { numberOf } from "../look.js";

export interface FaultOptions {
  /** A YAML file: a list of rules, or `faults:` with one. */
  readonly faults?: string;
  /** Single rules in YAML's short form. */
  readonly fault?: readonly string[];
  /** Milliseconds for every answer. */
  readonly latency?: string;
  readonly jitter?: string;
}

/** The rules that the options ask for, those of the file first. @throws ProxmoorError with file:line:col */
export async function faultRules(options: FaultOptions): Promise<readonly FaultRule[]> {
  const rules: FaultRule[] = [];
  if (options.faults !== undefined) rules.push(...parseFaults(await readText(options.faults), options.faults));
  for (const text of options.fault ?? []) rules.push(...parseFaults(text, "--fault"));
  if (options.latency !== undefined || options.jitter !== undefined) {
    const ms = numberOf(options.latency ?? "0", "--latency", 0);
    const jitter = numberOf(options.jitter ?? "0", "--jitter", 0);
    rules.push({ match: {}, effect: { latency: { ms, jitter } } });
  }
  return rules;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ProxmoorError("USAGE", `${file} can't be read: ${messageOf(error)}`, { cause: error });
  }
}

/** YAML with one rule, a list of them, or `faults:` with a list. */
export function parseFaults(text: string, file: string): readonly FaultRule[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  if (document.errors.length > 0)
    throw invalid(document.errors.map((error) => ({ place: at(error.pos[0]), message: error.message })));
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  const { list, under } = listOf(value);
  try {
    return readFaults(list);
  } catch (error) {
    if (!(error instanceof FaultRuleError)) throw error;
    const isLone = list !== value && under.length === 0;
    const told = error.complaints.map((complaint) => {
      const within = isLone ? complaint.path.slice(1) : [...under, ...complaint.path];
      return { place: at(offsetOf(document, within)), message: wordsOf(complaint) };
    });
    throw invalid(told);
  }
}

function listOf(value: unknown): { list: unknown; under: readonly string[] } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { list: value, under: [] };
  if (Object.hasOwn(value, "faults")) return { list: (value as { faults: unknown }).faults, under: ["faults"] };
  return { list: [value], under: [] };
}

/** Where a value stands; of one that is not there, what should hold it. */
function offsetOf(document: Document, path: readonly (string | number)[]): number {
  for (let length = path.length; length >= 0; length--) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    const range = (node as { range?: readonly number[] } | undefined)?.range;
    if (range?.[0] !== undefined) return range[0];
  }
  return 0;
}

const wordsOf = ({ path, text }: FaultComplaint): string => `${printPath(path)} ${text}`;

function invalid(found: readonly Omit<Fault, "code">[]): ProxmoorError {
  return new ProxmoorError("USAGE", formatFaults(found.map((one) => ({ code: "USAGE", ...one }))), {
    remedy: "Rules of faults are explained in docs/guide/faults.md.",
  });
}
