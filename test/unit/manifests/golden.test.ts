import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { validateManifests } from "../../../src/desired/index.js";
import type { DesiredGuest } from "../../../src/desired/types.js";
import { readManifests } from "../../../src/manifests/index.js";
import { formatFaults, formatPlace } from "../../../src/model/fault.js";
import { refKey } from "../../../src/model/ref.js";

const GOLDEN = join(import.meta.dirname, "../../../../test/golden/manifests");

/** A guest as a person reads it: where it is declared, then everything that is not in `fields`, then the fields. */
function printGuest(guest: DesiredGuest): string {
  const { ref, place, node, vmid, power, from, lifecycle, dependsOn, adopt, labels, annotations, fields } = guest;
  const lines = Object.entries({
    vmid,
    power,
    from,
    labels: Object.keys(labels).length > 0 ? labels : undefined,
    annotations: Object.keys(annotations).length > 0 ? annotations : undefined,
    adopt: adopt || undefined,
    lifecycle,
    dependsOn: dependsOn.length > 0 ? dependsOn.map(refKey) : undefined,
  }).filter(([, value]) => value !== undefined);
  return [
    `${refKey(ref)} on ${node}, declared at ${formatPlace(place)}`,
    ...lines.map(([name, value]) => `  ${name}: ${JSON.stringify(value)}`),
    ...Object.entries(fields).map(([path, value]) => `    ${path} = ${JSON.stringify(value)}`),
  ].join("\n");
}

/** Files named input* of a folder in, faults and guests as text out. */
async function run(folder: string): Promise<string> {
  const inputs = readdirSync(folder)
    .filter((name) => name.startsWith("input"))
    .sort()
    .map((name) => join(folder, name));
  const read = await readManifests(inputs);
  const { guests, faults } = validateManifests([...read.documents, ...read.partial]);
  const broken = new Set(read.faults.map(({ place }) => place.file));
  const usable = guests.filter(({ place }) => !broken.has(place.file));
  const parts = [formatFaults([...read.faults, ...faults]), ...usable.map(printGuest)];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`.replaceAll(`${folder}/`, "");
}

describe("the examples in manifests/", () => {
  it("declare the demo's guests without a fault", async () => {
    const read = await readManifests([join(GOLDEN, "../../../manifests")]);
    const { guests, faults } = validateManifests(read.documents);
    expect(formatFaults([...read.faults, ...faults])).to.equal("");
    const declared = guests.map(
      ({ ref, node, from }) => `${refKey(ref)} on ${node} from ${from?.template ?? "scratch"}`,
    );
    expect(declared).to.deep.equal([
      "ct/cache-01 on pve3 from local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst",
      "ct/dns-01 on pve2 from local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst",
      "vm/db-01 on pve2 from scratch",
      "vm/web-01 on pve1 from debian-12",
    ]);
  });
});

describe("manifests in, faults and guests out (test/golden/manifests)", () => {
  for (const name of readdirSync(GOLDEN).sort()) {
    it(name, async () => {
      const printed = await run(join(GOLDEN, name));
      const file = join(GOLDEN, name, "expected.txt");
      if (process.env["UPDATE_GOLDEN"]) writeFileSync(file, printed);
      expect(printed).to.equal(readFileSync(file, "utf8"));
    });
  }
});
