import { existsSync } from "node:fs";
import path from "node:path";
import { expect } from "chai";
import { brokenLinks, type Repository } from "./links.js";
import { allPages, readText, ROOT } from "./pages.js";

const REPOSITORY: Repository = { exists: (file) => existsSync(path.join(ROOT, file)), read: readText };

describe("links of the documentation", () => {
  it("point to files and headings that exist", () => {
    const pages = allPages();
    expect(pages).include("docs/README.md");
    expect(pages.flatMap((page) => brokenLinks(page, REPOSITORY))).deep.equal([]);
  });
});

describe("brokenLinks", () => {
  const files: Record<string, string> = {
    "README.md": [
      "# Top",
      "[good](docs/a.md) [folder](docs) [web](https://example.org/x.md) [mail](mailto:a@example.org)",
      "[own heading](#top) [other heading](docs/a.md#the-code-of-a--b) [double](docs/a.md#again-1)",
      "[gone](docs/b.md) [no heading](docs/a.md#gone) [out](../x.md) [absolute](/docs/a.md)",
      "`[in code](nowhere.md)` and [reference][1]",
      "```\n[in a block](nowhere.md)\n```",
      "[1]: docs/c.md",
    ].join("\n"),
    "docs/a.md": "# The `code` of A & B!\n## Again\n## Again\n```\n# gone\n```\n[up](../README.md) [beside](./b.md)",
  };
  const repository: Repository = {
    exists: (file) => file === "docs" || file in files,
    read: (file) => files[file] ?? "",
  };

  it("names each link that points to nothing", () => {
    expect(["README.md", "docs/a.md"].flatMap((page) => brokenLinks(page, repository))).deep.equal([
      "README.md: docs/b.md does not exist",
      "README.md: docs/a.md#gone names no heading",
      "README.md: ../x.md leaves the repository",
      "README.md: /docs/a.md is not relative",
      "README.md: docs/c.md does not exist",
      "docs/a.md: ./b.md does not exist",
    ]);
  });
});
