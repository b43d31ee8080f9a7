import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { expect } from "chai";
import { nodeFs } from "../../../src/manifests/find.js";
import { readManifests } from "../../../src/manifests/index.js";
import type { ReadOptions } from "../../../src/manifests/index.js";
import { formatFaults } from "../../../src/model/fault.js";

const GUEST = (name: string): string => `{ kind: Container, metadata: { name: ${name} } }\n`;

describe("reading manifests", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "proxmoor-manifests-"));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  async function files(contents: Record<string, string | Buffer>): Promise<void> {
    for (const [name, content] of Object.entries(contents)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), content);
    }
  }

  /** The files read and their guests' names, then the faults; without the temporary folder's name. */
  async function read(inputs: readonly string[], options: ReadOptions = {}): Promise<string[]> {
    const result = await readManifests(
      inputs.map((input) => (input === "-" ? input : join(folder, input))),
      options,
    );
    const names = result.documents.map(({ file, value }) => {
      return `${file}: ${(value as { metadata: { name: string } }).metadata.name}`;
    });
    const faults = result.faults.length === 0 ? [] : formatFaults(result.faults).split("\n");
    return [...names, ...faults].map((line) => line.replaceAll(`${folder}/`, "").replaceAll(folder, "."));
  }

  it("reads a folder's manifests by name: *.yaml, *.yml, *.json, not hidden, not below", async () => {
    await files({
      "b.yml": GUEST("b"),
      "a.yaml": GUEST("a"),
      "c.json": '{"kind":"Container","metadata":{"name":"c"}}',
      "D.YAML": GUEST("d"),
      ".hidden.yaml": GUEST("hidden"),
      ".git/x.yaml": GUEST("git"),
      "notes.txt": "kind: [",
      ".yaml": GUEST("nameless"),
      "below/e.yaml": GUEST("e"),
    });
    expect(await read(["."])).to.deep.equal(["D.YAML: d", "a.yaml: a", "b.yml: b", "c.json: c"]);
  });

  it("reads subfolders with -R, hidden ones not", async () => {
    await files({ "z.yaml": GUEST("z"), "b/c/d.yaml": GUEST("d"), "a/e.yml": GUEST("e"), ".x/f.yaml": GUEST("f") });
    expect(await read(["."], { recursive: true })).to.deep.equal(["a/e.yml: e", "b/c/d.yaml: d", "z.yaml: z"]);
  });

  it("reads a named file whatever it is called", async () => {
    await files({ ".hidden": GUEST("h"), "notes.txt": GUEST("n") });
    expect(await read(["notes.txt", ".hidden"])).to.deep.equal(["notes.txt: n", ".hidden: h"]);
  });

  it("reads a file once, however it is named", async () => {
    await files({ "a.yaml": GUEST("a"), "b.yaml": GUEST("b"), "sub/c.yaml": GUEST("c") });
    await symlink("a.yaml", join(folder, "z.yaml"));
    await symlink("..", join(folder, "sub/up"));
    await symlink("sub", join(folder, "other"));
    const inputs = ["b.yaml", ".", "a.yaml", ".", "sub"];
    expect(await read(inputs, { recursive: true })).to.deep.equal(["b.yaml: b", "a.yaml: a", "other/c.yaml: c"]);
  });

  it("follows links to files, as Kubernetes mounts them", async () => {
    await files({ "..data/web.yaml": GUEST("web") });
    await symlink("..data/web.yaml", join(folder, "web.yaml"));
    expect(await read(["."])).to.deep.equal(["web.yaml: web"]);
  });

  it("reads standard input where - stands, once", async () => {
    await files({ "a.yaml": GUEST("a"), "b.yaml": GUEST("b") });
    const stdin = Readable.from([Buffer.from("{ kind: Container,"), Buffer.from(" metadata: { name: ü } }")]);
    expect(await read(["a.yaml", "-", "b.yaml", "-"], { stdin })).to.deep.equal(["a.yaml: a", "-: ü", "b.yaml: b"]);
  });

  it("tells faults of standard input", async () => {
    const stdin = Readable.from(["kind: Container\n\tmetadata: {}\n"]);
    expect(await read(["-"], { stdin })).to.deep.equal([
      "-:2:1: a tab is used as indentation; YAML allows spaces only",
    ]);
    expect(await read(["-"])).to.deep.equal([
      "-: nothing is declared: all documents are empty; a manifest is a map with apiVersion, kind, metadata and spec",
    ]);
  });

  it("accepts a byte order mark and Windows line ends, and counts columns without them", async () => {
    await files({ "a.yaml": "\uFEFFkind: Container\r\nmetadata: { name: a }\r\n---\r\nkind: List\r\nitems: 1\r\n" });
    expect(await read(["a.yaml"])).to.deep.equal(["a.yaml:5:8: a List needs items, a list of objects"]);
    await files({ "a.yaml": "\uFEFFkind: Container\r\nmetadata: { name: a }\r\n" });
    expect(await read(["a.yaml"])).to.deep.equal(["a.yaml: a"]);
  });

  it("tells every file that is no text, with the byte", async () => {
    await files({
      "binary.yaml": Buffer.from("kind: Container\nname: \0\0\0", "latin1"),
      "latin1.yaml": Buffer.from("# caf\u00e9\n", "latin1"),
      "latin1-late.yaml": Buffer.concat([Buffer.from("# übrigens\nname: "), Buffer.from([0xfc, 0x0a])]),
      "cut.yaml": Buffer.from("# €").subarray(0, 4),
      "surrogate.yaml": Buffer.from([0x61, 0xed, 0xa0, 0x80]),
      "utf16.yaml": Buffer.from("\uFEFFkind: x", "utf16le"),
      "good.yaml": GUEST("good"),
    });
    expect(await read(["."])).to.deep.equal([
      "good.yaml: good",
      "binary.yaml:2:7: is binary: byte 22 is zero; a manifest is UTF-8 text",
      "cut.yaml:1:3: is not UTF-8: byte 2 is 0xe2; a manifest is UTF-8 text",
      "latin1-late.yaml:2:7: is not UTF-8: byte 18 is 0xfc; a manifest is UTF-8 text",
      "latin1.yaml:1:6: is not UTF-8: byte 5 is 0xe9; a manifest is UTF-8 text",
      "surrogate.yaml:1:2: is not UTF-8: byte 1 is 0xed; a manifest is UTF-8 text",
      "utf16.yaml:1:1: is UTF-16; a manifest is UTF-8 text",
    ]);
  });

  it("refuses a file over 10 MiB and takes one of exactly 10 MiB", async () => {
    const text = `kind: Container\nmetadata: { name: a }\n#`;
    await files({ "exact.yaml": text.padEnd(10 * 2 ** 20, " "), "large.yaml": text });
    await truncate(join(folder, "large.yaml"), 10 * 2 ** 20 + 1);
    expect(await read(["."])).to.deep.equal([
      "exact.yaml: a",
      "large.yaml: is larger than 10 MiB; split it into several files",
    ]);
  });

  it("tells paths that can't be read, all of them", async () => {
    await files({ "web.yaml": GUEST("web"), "sub/x.txt": "" });
    await symlink("gone.yaml", join(folder, "dangling.yaml"));
    await symlink("loop.yaml", join(folder, "loop.yaml"));
    await symlink("nowhere", join(folder, "no-manifest"));
    const inputs = ["wbe.yaml", "other", "web.yaml/x", ".", "sub", "nowhere/at/all.yaml"];
    expect(await read(inputs)).to.deep.equal([
      "web.yaml: web",
      "dangling.yaml: can't be read: it is a link to something that does not exist",
      "loop.yaml: can't be read: its links go round in a circle",
      "nowhere/at/all.yaml: can't be read: there is no such file or folder",
      "other: can't be read: there is no such file or folder",
      "sub: no manifest in this folder; files named *.yaml, *.yml and *.json are read, hidden ones are not",
      "wbe.yaml: can't be read: there is no such file or folder; did you mean web.yaml?",
      "web.yaml/x: can't be read: a part of the path is no folder",
    ]);
  });

  it("tells what the file system refuses, and reads the rest", async () => {
    await files({ "a.yaml": GUEST("a"), "b.yaml": GUEST("b"), "locked/c.yaml": "" });
    const refusal = (code: string): Error => Object.assign(new Error(`${code}: no`), { code });
    const fs = {
      ...nodeFs,
      open: (path: string) => {
        if (path.endsWith("a.yaml")) throw refusal("EACCES");
        return nodeFs.open(path);
      },
      readdir: async (path: string) => {
        if (path.endsWith("locked")) throw refusal("EPERM");
        return nodeFs.readdir(path);
      },
    };
    expect(await read([".", "locked"], { fs })).to.deep.equal([
      "b.yaml: b",
      "a.yaml: can't be read: permission denied",
      "locked: can't be read: permission denied",
    ]);
    const broken = { ...nodeFs, open: () => Readable.from(["kind: "]).map(() => Promise.reject(refusal("EIO"))) };
    expect(await read(["b.yaml"], { fs: broken })).to.deep.equal(["b.yaml: can't be read: the disk reports an error"]);
  });

  it("tells an empty set", async () => {
    await files({
      "a/only.txt": "",
      "b/below/c.yaml": GUEST("c"),
      "empty.yaml": "",
      "comment.yaml": "# nothing\n---\n",
    });
    const none = "no manifest in this folder; files named *.yaml, *.yml and *.json are read, hidden ones are not";
    expect(await read([])).to.deep.equal([
      "-: no manifest was named; -f takes files, folders and - for standard input",
    ]);
    expect(await read(["a"])).to.deep.equal([`a: ${none}`]);
    expect(await read(["b"])).to.deep.equal([`b: ${none}; subfolders are read with -R`]);
    expect(await read(["empty.yaml", "comment.yaml"])).to.deep.equal([
      "empty.yaml: nothing is declared: all documents are empty; a manifest is a map with apiVersion, kind, metadata and spec",
    ]);
    expect(await read(["empty.yaml", "b/below"])).to.deep.equal(["b/below/c.yaml: c"]);
  });

  it("leaves the documents of a broken file out, for those who go on with the rest", async () => {
    await files({ "bad.yaml": `${GUEST("first")}---\nkind: [\n---\n${GUEST("last")}`, "good.yaml": GUEST("good") });
    const { documents, partial, faults, files: found } = await readManifests([folder]);
    const names = (list: typeof documents): string[] =>
      list.map(({ value }) => (value as { metadata: { name: string } }).metadata.name);
    expect({
      documents: names(documents),
      partial: names(partial),
      broken: faults.map(({ code, place }) => `${code} ${place.file.slice(folder.length + 1)}`),
      found: found.map((file) => file.slice(folder.length + 1)),
    }).to.deep.equal({
      documents: ["good"],
      partial: ["first", "last"],
      broken: ["MANIFEST_SYNTAX bad.yaml"],
      found: ["bad.yaml", "good.yaml"],
    });
  });

  const monsters: Record<string, [string, string]> = {
    brackets: ["[".repeat(1_000_000), ":1:102: is nested too deep; at most 100 levels are read"],
    braces: ["{ a: ".repeat(300_000), ": is nested too deep; at most 100 levels are read"],
    dashes: ["- ".repeat(300_000), ": is nested too deep; at most 100 levels are read"],
    indents: [
      Array.from({ length: 500 }, (_, level) => `${" ".repeat(level)}a:\n`).join(""),
      ": is nested too deep; at most 100 levels are read",
    ],
    items: [`a: [${"1,".repeat(1_600_000)}]`, ": there is too much in this file; split it"],
  };
  for (const [name, [text, expected]] of Object.entries(monsters)) {
    it(`survives a file made to crash parsers: ${name}`, async () => {
      const { faults, documents } = await readManifests(["-"], { stdin: Readable.from([text]) });
      expect(documents).to.have.length(0);
      expect(formatFaults(faults)).to.contain(expected.replace(/^:1:102/, ""));
    });
  }

  it("caps the faults of one file", async () => {
    const text = Array.from({ length: 1000 }, (_, at) => `a${at}: @x`).join("\n");
    const { faults } = await readManifests(["-"], { stdin: Readable.from([text]) });
    const lines = formatFaults(faults).split("\n");
    expect([lines.length, lines[0], lines.at(-1)]).to.deep.equal([
      26,
      "-:1:5: plain value cannot start with reserved character @; a text that starts so needs quotes",
      "-:26:6: more faults follow in this file",
    ]);
  });
});
