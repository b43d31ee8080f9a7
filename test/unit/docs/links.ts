import path from "node:path";
import { withoutCode } from "./pages.js";

/** What of the repository links may point to. */
export interface Repository {
  /** True for files and folders, by their path from the root. */
  readonly exists: (file: string) => boolean;
  readonly read: (file: string) => string;
}

const INLINE = /\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)/g;
const REFERENCE = /^ {0,3}\[[^\]]+\]:\s+<?(\S+?)>?\s*$/gm;
const ELSEWHERE = /^[a-z][a-z0-9+.-]*:|^\/\//i;

/** The links of a page that point to nothing, one line each: `docs/a.md: b.md does not exist`. */
export function brokenLinks(page: string, repository: Repository): string[] {
  const text = withoutCode(repository.read(page));
  const links = [...text.matchAll(INLINE), ...text.matchAll(REFERENCE)].map((match) => match[1] ?? "");
  return links.flatMap((link) => {
    const problem = problemOf(link, page, repository);
    return problem === undefined ? [] : [`${page}: ${link} ${problem}`];
  });
}

function problemOf(link: string, page: string, repository: Repository): string | undefined {
  if (ELSEWHERE.test(link)) return undefined;
  const [file = "", anchor] = link.split("#", 2);
  if (file.startsWith("/")) return "is not relative";
  const target = file === "" ? page : path.posix.join(path.posix.dirname(page), decodeURIComponent(file));
  if (target.startsWith("..")) return "leaves the repository";
  if (!repository.exists(target)) return "does not exist";
  if (anchor === undefined) return undefined;
  if (!target.endsWith(".md")) return undefined;
  return anchorsOf(repository.read(target)).has(anchor) ? undefined : "names no heading";
}

/** The anchors of a page as GitHub makes them: lower case, no punctuation, `-1` and so on for doubles. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  const body = markdown.replace(/^( *)(```|~~~)[\s\S]*?^ *\2 *$/gm, "");
  for (const match of body.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const slug = (match[1] ?? "")
      .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-");
    let anchor = slug;
    for (let copy = 1; anchors.has(anchor); copy++) anchor = `${slug}-${copy}`;
    anchors.add(anchor);
  }
  for (const match of markdown.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(match[1] ?? "");
  return anchors;
}
