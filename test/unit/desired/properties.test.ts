import { expect } from "chai";
import fc from "fast-check";
import { stringify } from "yaml";
import { validateManifests } from "../../../src/desired/index.js";
import { childSchema, KIND_SCHEMAS } from "../../../src/desired/schema/index.js";
import type { Schema } from "../../../src/desired/schema/build.js";
import type { ManifestDocument } from "../../../src/manifests/index.js";
import { parseManifestText } from "../../../src/manifests/parse.js";
import { formatFaults } from "../../../src/model/fault.js";
import type { Kind } from "../../../src/model/ref.js";
import { documents, map } from "./specs.js";
import type { Map_ } from "./specs.js";

function validate(text: string): ReturnType<typeof validateManifests> {
  const parsed = parseManifestText(text, "x.yaml");
  const validated = validateManifests(parsed.documents);
  return { ...validated, faults: [...parsed.faults, ...validated.faults] };
}

type Spot = { readonly holder: Map_; readonly key: string; readonly schema: Schema };

/** Every key of every map of a document, with its schema. */
function* spots(schema: Schema, holder: Map_): Generator<Spot> {
  for (const [key, value] of Object.entries(holder)) {
    const child = childSchema(schema, key);
    if (child === undefined) continue;
    yield { holder, key, schema: child };
    if (child.type === "object") yield* spots(child, map(value));
  }
}

const MARK = "zzWrong";

/** Something of another type than the schema asks for, findable in the text. */
function wrongFor({ type, quantity }: Schema): unknown {
  if (type === "string") return 424242424242;
  return Array.isArray(type) && quantity === undefined ? { [MARK]: 1 } : MARK;
}

function placeOf(text: string, mark: string): string {
  const before = text.slice(0, text.indexOf(mark)).split("\n");
  return `${before.length}:${(before.at(-1) ?? "").length + 1}`;
}

function placesOf(faults: ReturnType<typeof validate>["faults"]): string[] {
  return faults.map(({ place }) => `${place.line}:${place.column}`);
}

describe("valid manifests", () => {
  it("have no fault and become fields of plain values", () => {
    fc.assert(
      fc.property(documents, (document) => {
        const { guests, faults } = validate(stringify(document));
        expect(formatFaults(faults)).to.equal("");
        expect(guests).to.have.length(1);
        for (const [path, value] of Object.entries(guests[0]?.fields ?? {})) {
          const plain = Array.isArray(value) ? "list" : typeof value;
          expect(["list", "string", "number", "boolean"], path).to.include(plain);
          expect(path).to.match(/^[a-z][\w.-]*$/i);
        }
      }),
    );
  });

  it("mean the same as JSON and as YAML", () => {
    fc.assert(
      fc.property(documents, (document) => {
        const [yaml, json] = [stringify(document), JSON.stringify(document)].map((text) => validate(text).guests[0]);
        expect(yaml?.fields).to.deep.equal(json?.fields);
        expect(yaml?.spec).to.deep.equal(document["spec"]);
      }),
    );
  });
});

describe("a manifest with one thing wrong", () => {
  const mutate = (pick: (spot: Spot) => boolean, change: (spot: Spot) => string) =>
    fc.property(documents, fc.nat(), (original, choice) => {
      const document = structuredClone(original);
      const all = [...spots(KIND_SCHEMAS[document["kind"] as Kind], document)].filter(pick);
      const spot = all[choice % all.length];
      if (spot === undefined) throw new Error("a document without a key");
      const mark = change(spot);
      const text = stringify(document);
      const { guests, faults } = validate(text);
      expect(placesOf(faults), `${text}\n${formatFaults(faults)}`).to.include(placeOf(text, mark));
      expect(guests).to.have.length(0);
    });

  it("is told at the unknown key", () => {
    const change = ({ holder, key }: Spot): string => {
      map(holder[key])[`${MARK}_Key`] = 1;
      return MARK;
    };
    // any text may be a label or an annotation
    const closed = ({ key, schema, holder }: Spot): boolean =>
      schema.type === "object" && key !== "labels" && key !== "annotations" && Object.keys(map(holder[key])).length > 0;
    fc.assert(mutate(closed, change));
  });

  it("is told at the value of the wrong type", () => {
    const change = (spot: Spot): string => {
      const wrong = wrongFor(spot.schema);
      spot.holder[spot.key] = wrong;
      return typeof wrong === "number" ? String(wrong) : MARK;
    };
    fc.assert(
      mutate(({ schema }) => schema.const === undefined, change),
      { numRuns: 300 },
    );
  });
});

describe("a manifest with everything wrong", () => {
  it("is told with a hundred faults", () => {
    const keys = Array.from({ length: 1000 }, (_, at) => `  wrong${at}: 1\n`).join("");
    const text = `apiVersion: proxmoor.dev/v1\nkind: Container\nmetadata: { name: a }\nspec:\n  node: pve1\n${keys}`;
    const { faults } = validate(text);
    expect([faults.length, faults.at(-1)?.message]).to.deep.equal([101, "more faults follow in this document"]);
  });
});

describe("arbitrary input", () => {
  const pieces = [
    "a",
    ":",
    " ",
    "\n",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: ",
    '"',
    "'",
    "|",
    ">",
    "#",
    "? ",
    "---\n",
  ];
  const more = [
    "!x ",
    "%",
    "\t",
    "kind: VirtualMachine\n",
    "kind: List\n",
    "items:\n",
    "spec:\n",
    "  ",
    ",",
    "\r\n",
    "\0",
    "…",
  ];
  const yamlish = fc.array(fc.constantFrom(...pieces, ...more), { maxLength: 60 }).map((parts) => parts.join(""));

  it("never throws, and every fault has a place in the text", () => {
    fc.assert(
      fc.property(fc.oneof(yamlish, fc.string({ unit: "binary", maxLength: 200 })), (text) => {
        const lines = text.split("\n");
        for (const { place, message } of validate(text).faults) {
          expect(message).to.not.equal("").and.not.include("\n");
          const line = lines[(place.line ?? 0) - 1];
          expect(line, `${place.line}`).to.be.a("string");
          expect(place.column).to.be.within(1, (line ?? "").length + 2);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("never throws whatever a document's value is", () => {
    const known = fc.constantFrom(
      "apiVersion",
      "kind",
      "metadata",
      "spec",
      "disks",
      "scsi0",
      "tags",
      "dependsOn",
      "from",
    );
    const values = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.anything({ maxDepth: 1 }),
        fc.constantFrom("VirtualMachine", "Container", "proxmoor.dev/v1", "vm/a", "4Gi"),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(fc.oneof(known, fc.string()), tie("any")),
      ),
    })).any;
    const kinds = fc.constantFrom("VirtualMachine", "Container");
    fc.assert(
      fc.property(fc.dictionary(known, values), kinds, (document, kind) => {
        const asked: string[] = [];
        const at: ManifestDocument["at"] = (path, part) => {
          asked.push(`${path.join(".")} ${part ?? "value"}`);
          return { file: "x", line: 1, column: 1 };
        };
        const { faults } = validateManifests([{ file: "x", value: { ...document, kind }, at }]);
        expect(faults.length).to.be.greaterThan(0);
        expect(asked).to.have.length(faults.length);
      }),
      { numRuns: 500 },
    );
  });
});
