import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root, seen from dist/test/unit/docs. */
export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

/** A file of the repository by its path from the root. */
export function readText(file: string): string {
  return readFileSync(path.join(ROOT, file), "utf8");
}

/** The files below a folder whose name ends so, as paths from the root, sorted. */
export function filesIn(folder: string, ending: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => path.posix.join(folder, name.split(path.sep).join("/")))
    .sort();
}

/** The pages that people read: those at the root and all of docs/. */
export function allPages(): string[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith(".md"));
  return [...top.sort(), ...filesIn("docs", ".md")];
}

/** A page without what is code: nothing in it is a heading or a link. */
export function withoutCode(markdown: string): string {
  return markdown.replace(/^( *)(```|~~~)[\s\S]*?^ *\2 *$/gm, "").replace(/(`+)(?!`)[^\n]*?[^`\n]\1(?!`)/g, "code");
}

/** The code blocks of a language. */
export function codeBlocks(markdown: string, language: string): string[] {
  const found = markdown.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"));
  return [...found].map((match) => match[1] ?? "");
}

/** The sections under `## ` headings: their title and the text up to the next one. */
export function sections(markdown: string): { title: string; text: string }[] {
  return markdown
    .split(/^## /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return { title: part.slice(0, end).trim(), text: part.slice(end).trim() };
    });
}
