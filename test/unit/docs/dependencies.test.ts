import { expect } from "chai";
import { readText } from "./pages.js";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly license?: string;
}

const project = JSON.parse(readText("package.json")) as Manifest;
const page = readText("docs/dependencies.md");
/** Rows of the page's tables: `| name | version | licence | …`. */
const rows = [...page.matchAll(/^\| \[`([^`]+)`\]\([^)]*\)\s*\|\s*(\S+)\s*\|\s*(\S+)\s*\|/gm)].map(
  ([, name = "", version = "", licence = ""]) => ({ name, version, licence }),
);

describe("docs/dependencies.md", () => {
  it("has one line per dependency, with the version and the licence it has", () => {
    const wanted = { ...project.dependencies, ...project.devDependencies };
    const expected = Object.entries(wanted).map(([name, version]) => {
      const { license = "none" } = JSON.parse(readText(`node_modules/${name}/package.json`)) as Manifest;
      return `${name} ${version} ${license}`;
    });
    expect(rows.map(({ name, version, licence }) => `${name} ${version} ${licence}`)).deep.equal(expected);
  });
});
