import { Composer, Lexer, Parser, Schema, isSeq } from "yaml";
import type { CST, Document, Node } from "yaml";
import type { Fault } from "../model/fault.js";
import { Converter, MAX_EXPANDED } from "./convert.js";
import type { Budget, NodeFault } from "./convert.js";
import { LineIndex } from "./text.js";
import type { ManifestDocument, Path } from "./types.js";

/** Deeper nesting than this ends the parser's recursion in a crash that can't be caught; a manifest needs eight. */
const MAX_DEPTH = 100;
/** Words of YAML in one file: 10 MiB of ordinary manifests have 2.5 million; more takes gigabytes of memory. */
const MAX_WORDS = 3_000_000;
/** Faults told per file: one misplaced bracket can make hundreds of lines wrong. */
const MAX_FAULTS = 25;

/** YAML 1.2 core: `on` and `yes` are text; a `%YAML 1.1` line changes nothing. Double keys are found by Converter. */
const OPTIONS = {
  version: "1.2",
  // made once: a schema for every document takes a third of the time of composing it
  schema: new Schema({ schema: "core", merge: false }),
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: "silent",
} as const;

/** What one file holds. With faults, the documents are those that can be read all the same. */
export interface ParsedText {
  readonly documents: readonly ManifestDocument[];
  readonly faults: readonly Fault[];
}

/** YAML or JSON (which is YAML) to documents; never throws. */
export function parseManifestText(text: string, file: string): ParsedText {
  const lines = new LineIndex(text);
  const tokens = readTokens(text);
  const found: NodeFault[] = "problem" in tokens ? [{ offset: tokens.offset, message: tokens.problem }] : [];
  const documents: ManifestDocument[] = [];
  const budget: Budget = { expanded: 0 };
  if (!("problem" in tokens)) {
    for (const document of new Composer(OPTIONS).compose(tokens.tokens, true, text.length)) {
      const problems = [...syntaxFaults(document, lines)];
      if (problems.length === 0) readDocument(document, { file, lines, budget, documents, problems });
      found.push(...problems);
      if (found.length > MAX_FAULTS) break;
    }
  }
  // an alias bomb is not unfolded by validating it
  return { documents: budget.expanded > MAX_EXPANDED ? [] : documents, faults: report(found, file, lines) };
}

function report(found: readonly NodeFault[], file: string, lines: LineIndex): Fault[] {
  const faults = found.slice(0, MAX_FAULTS).map(({ offset, message }): Fault => ({
    code: "MANIFEST_SYNTAX",
    place: { file, ...lines.at(offset) },
    message,
  }));
  if (found.length > MAX_FAULTS) {
    const message = "more faults follow in this file";
    faults.push({ code: "MANIFEST_SYNTAX", place: { file, ...lines.at(found[MAX_FAULTS]?.offset ?? 0) }, message });
  }
  return faults;
}

function readTokens(text: string): { tokens: CST.Token[] } | { problem: string; offset: number } {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  let words = 0;
  for (const word of new Lexer().lex(text)) {
    for (const token of parser.next(word)) tokens.push(token);
    if (parser.stack.length > MAX_DEPTH) {
      return { problem: `is nested too deep; at most ${MAX_DEPTH} levels are read`, offset: parser.offset };
    }
    if (++words > MAX_WORDS) {
      return { problem: "there is too much in this file; split it", offset: parser.offset };
    }
  }
  for (const token of parser.end()) tokens.push(token);
  return { tokens };
}

/** One fault per line: what follows from the first one on a line is noise. */
function* syntaxFaults(document: Document.Parsed, lines: LineIndex): Generator<NodeFault> {
  const told = new Set<number>();
  for (const { pos, code, message } of [...document.errors, ...document.warnings]) {
    const { line } = lines.at(pos[0]);
    if (told.has(line)) continue;
    told.add(line);
    yield { offset: pos[0], message: `${explain(code, message)}` };
  }
}

function explain(code: string, message: string): string {
  switch (code) {
    case "TAB_AS_INDENT":
      return "a tab is used as indentation; YAML allows spaces only";
    case "BAD_INDENT":
      return `the indentation is wrong: ${lowerFirst(message)}`;
    case "BLOCK_AS_IMPLICIT_KEY":
      return "a map can't begin here; is the indentation right, or does a text with `: ` in it need quotes?";
    case "MISSING_CHAR":
      return `something is missing: ${lowerFirst(message)}`;
    case "BAD_SCALAR_START":
      return `${lowerFirst(message)}; a text that starts so needs quotes`;
    case "TAG_RESOLVE_FAILED":
      return `${lowerFirst(message).replace("tag:yaml.org,2002:", "!!")}; !!str, !!int and the like are known`;
    default:
      return `no valid YAML: ${lowerFirst(message)}`;
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

interface Into {
  readonly file: string;
  readonly lines: LineIndex;
  readonly budget: Budget;
  readonly documents: ManifestDocument[];
  readonly problems: NodeFault[];
}

function readDocument(document: Document.Parsed, into: Into): void {
  const converter = new Converter(into.budget);
  const root: Node | null = document.contents;
  const value = converter.convert(root);
  into.problems.push(...converter.faults);
  if (value === null || value === undefined || converter.damaged) return;
  const offset: Locate = (path, part = "value") => converter.offsetOf(root, path, part) ?? 0;
  if (!isRecord(value)) {
    const what = isSeq(root) ? "a list; several objects go into documents parted by ---, or a `kind: List`" : "a value";
    const message = `a manifest is a map with apiVersion, kind, metadata and spec, not ${what}`;
    into.problems.push({ offset: offset([]), message });
  } else if (value["kind"] === "List") readList(value, offset, into);
  else into.documents.push(documentOf(value, offset, into));
}

type Locate = (path: Path, part?: "key" | "value") => number;

function documentOf(value: unknown, offset: Locate, { file, lines }: Into): ManifestDocument {
  return { file, value, at: (path, part) => ({ file, ...lines.at(offset(path, part)) }) };
}

/** Kubernetes' `kind: List`: every item is a document of its own. */
function readList(list: Record<string, unknown>, offset: Locate, into: Into): void {
  for (const key of Object.keys(list)) {
    if (["apiVersion", "kind", "metadata", "items"].includes(key)) continue;
    into.problems.push({ offset: offset([key], "key"), message: `${key} is unknown; a List has apiVersion and items` });
  }
  if (!Array.isArray(list["items"])) {
    into.problems.push({ offset: offset(["items"]), message: "a List needs items, a list of objects" });
    return;
  }
  for (const [index, item] of list["items"].entries()) {
    if (isRecord(item) && item["kind"] === "List") {
      into.problems.push({ offset: offset(["items", index]), message: "a List can't hold another List" });
      continue;
    }
    into.documents.push(documentOf(item, (path, part) => offset(["items", index, ...path], part), into));
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
