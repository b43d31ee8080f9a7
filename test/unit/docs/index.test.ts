import path from "node:path";
import { expect } from "chai";
import { filesIn, readText } from "./pages.js";

/** The pages that an index links to, as paths from the root. */
function linked(index: string): string[] {
  const links = readText(index).matchAll(/\]\(([^)#:]+\.md)\)/g);
  return [...links].map((match) => path.posix.join(path.posix.dirname(index), match[1] ?? ""));
}

describe("docs/README.md", () => {
  it("leads to every page, by way of docs/adr/README.md for the decisions", () => {
    const found = new Set(["docs/README.md", ...linked("docs/README.md"), ...linked("docs/adr/README.md")]);
    expect(filesIn("docs", ".md").filter((page) => !found.has(page))).deep.equal([]);
  });
});
