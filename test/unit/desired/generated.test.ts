import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { expect } from "chai";
import * as prettier from "prettier";
import { parseAllDocuments } from "yaml";
import { editorSchema } from "./editor-schema.js";
import { manifestReference } from "./reference.js";

const ROOT = join(import.meta.dirname, "../../../..");

/** A file that is written from the schema is what the schema gives now; UPDATE_GOLDEN=1 writes it. */
function expectInStep(file: string, text: string): void {
  const path = join(ROOT, file);
  if (process.env["UPDATE_GOLDEN"]) writeFileSync(path, text);
  expect(readFileSync(path, "utf8"), `${file} is out of step; UPDATE_GOLDEN=1 writes it`).to.equal(text);
}

describe("files written from the schema", () => {
  it("schema/proxmoor.schema.json is in step", () => {
    expectInStep("schema/proxmoor.schema.json", `${JSON.stringify(editorSchema(), null, 2)}\n`);
  });

  it("docs/reference/manifest.md is in step", async () => {
    const style = await prettier.resolveConfig(join(ROOT, "docs/reference/manifest.md"));
    const text = await prettier.format(manifestReference(), { ...style, parser: "markdown" });
    expectInStep("docs/reference/manifest.md", text);
  });

  it("every field has a description: it is the help in editors", () => {
    const without: string[] = [];
    const visit = (value: unknown, path: string): void => {
      if (typeof value !== "object" || value === null) return;
      for (const [key, child] of Object.entries(value)) {
        const at = `${path}/${key}`;
        if (/\/(properties|patternProperties)\/[^/]+$/.test(at) && !path.endsWith("/if/properties")) {
          if (typeof (child as Record<string, unknown>)["description"] !== "string") without.push(at);
        }
        visit(child, at);
      }
    };
    visit(editorSchema(), "");
    expect(without.filter((path) => !path.includes("/if/"))).to.deep.equal([]);
  });
});

describe("the editors' schema", () => {
  const validate = new Ajv({ strict: false }).compile(editorSchema());
  const check = (text: string): boolean[] => parseAllDocuments(text).map((document) => validate(document.toJS()));

  it("accepts the examples", () => {
    const results = ["web", "db", "containers"].map((name) => [
      name,
      ...check(readFileSync(join(ROOT, `manifests/${name}.yaml`), "utf8")),
    ]);
    expect(results).to.deep.equal([
      ["web", true],
      ["db", true],
      ["containers", true, true],
    ]);
  });

  it("refuses what is wrong, in a list as well", () => {
    const vm = (spec: string): string =>
      `{ apiVersion: proxmoor.dev/v1, kind: VirtualMachine, metadata: { name: a }, spec: { node: pve1${spec} } }`;
    const results = [
      vm(""),
      vm(", memory: 4Gi"),
      vm(", memory: 4GB"),
      vm(", cpus: 1"),
      vm(", disks: { scsi31: { size: 1Gi } }"),
      `{ apiVersion: v1, kind: List, items: [${vm("")}] }`,
      `{ apiVersion: v1, kind: List, items: [${vm(", cpus: 1")}] }`,
      "{ apiVersion: proxmoor.dev/v1, kind: Pod }",
    ].map((text) => `${check(text).join()} ${text.slice(0, 200).replace(/.*metadata: . name: a ., /, "")}`);
    expect(results).to.deep.equal([
      "true spec: { node: pve1 } }",
      "true spec: { node: pve1, memory: 4Gi } }",
      "false spec: { node: pve1, memory: 4GB } }",
      "false spec: { node: pve1, cpus: 1 } }",
      "false spec: { node: pve1, disks: { scsi31: { size: 1Gi } } } }",
      "true spec: { node: pve1 } }] }",
      "false spec: { node: pve1, cpus: 1 } }] }",
      "false { apiVersion: proxmoor.dev/v1, kind: Pod }",
    ]);
  });
});
