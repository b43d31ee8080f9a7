import { expect } from "chai";
import fc from "fast-check";
import type { Fault } from "../../support/fake-pve.js";
import { declare, FakeProcess, Lab } from "../../support/fake-lab.js";
import { clone, ct, vm } from "./manifests.js";

const POWER = fc.constantFrom("running", "stopped");
const SPEC = fc
  .record({
    power: POWER,
    onBoot: fc.option(fc.boolean()),
    cores: fc.constantFrom(1, 2),
    restart: fc.constantFrom("allow", "never"),
    text: fc.option(fc.constantFrom("one", "two")),
  })
  .map(({ power, onBoot, cores, restart, text }) =>
    [
      `power: ${power}`,
      ...(onBoot === null ? [] : [`onBoot: ${onBoot}`]),
      ...(text === null ? [] : [`description: ${text}`]),
      `CORES ${cores}`,
      `lifecycle: { restart: ${restart}, prune: delete }`,
    ].join(", "),
  );
const MANIFESTS = fc
  .record({ a: fc.option(SPEC), b: fc.option(SPEC), c: fc.option(SPEC) })
  .map(({ a, b, c }) =>
    [
      vm("base").replace("spec: {", "spec: { lifecycle: { prune: delete },"),
      a === null ? "" : vm("a", a.replace(/CORES (\d)/, "cpu: { cores: $1 }")),
      b === null ? "" : clone("b", b.replace(/CORES (\d)/, "cpu: { cores: $1 }")),
      c === null ? "" : ct("c", c.replace(/CORES (\d)/, "cores: $1")),
    ].join(""),
  );
const FAULT: fc.Arbitrary<Fault> = fc.record({
  op: fc.constantFrom("create", "clone", "configure", "start", "shutdown", "stop", "reboot", "destroy"),
  how: fc.constantFrom("lost-before", "lost-after", "task", "refused", "unreachable"),
  times: fc.integer({ min: 1, max: 3 }),
  text: fc.constantFrom("out of space", "VM is locked (backup)", "checksum mismatch (file change by other user?)"),
});
const ROUND = fc.record({
  manifests: MANIFESTS,
  faults: fc.array(FAULT, { maxLength: 3 }),
  dies: fc.option(fc.integer({ min: 1, max: 120 })),
  edits: fc.array(fc.constantFrom("stop", "edit", "vanish"), { maxLength: 2 }),
});

/** Somebody at work in the web interface. */
function meddle(lab: Lab, edit: "stop" | "edit" | "vanish"): void {
  const guest = lab.pve.all().find((one) => one.vmid < 900 && one.vmid !== 101);
  if (!guest) return;
  if (edit === "stop") guest.status = "stopped";
  else if (edit === "edit") lab.pve.edit(guest.vmid, { onboot: "1" });
  else lab.pve.guests.delete(guest.vmid);
}

describe("runs through faults, deaths and other people's edits", () => {
  it("converge once those stop, having touched and made nothing that they should not", async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(fc.array(ROUND, { minLength: 1, maxLength: 4 }), async (rounds) => {
        const lab = new Lab();
        lab.pve.add({ kind: "VirtualMachine", vmid: 900, template: true, config: { name: "debian-12" } });
        const foreign = lab.pve.add({ kind: "VirtualMachine", vmid: 101, config: { name: "foreign", memory: "512" } });
        const before = JSON.stringify(foreign);
        const policy = { prunes: () => true };
        let last = "";
        for (const { manifests, faults, dies, edits } of rounds) {
          for (const edit of edits) meddle(lab, edit);
          lab.pve.faults.splice(0, Infinity, ...faults);
          const process =
            dies === null ? {} : { process: new FakeProcess(lab.clock, { at: dies, when: "after" as const }) };
          await lab.apply(declare(manifests), { policy, ...process }).catch(() => undefined);
          last = manifests;
        }
        lab.pve.faults.length = 0;
        const texts: string[] = [];
        for (let tries = 0; tries < 3; tries++) texts.push((await lab.apply(declare(last), { policy })).text);
        expect(texts[2], texts.join("\n--\n")).to.match(/^(\S+ done keep( \(waits: .*\))?\n?)+$/);
        const names = lab.pve.all().map((guest) => guest.config["name"] ?? guest.config["hostname"]);
        expect(new Set(names).size, names.join(" ")).to.equal(names.length);
        expect(JSON.stringify(lab.pve.guests.get(101))).to.equal(before);
        expect(lab.pve.violations).to.deep.equal([]);
        expect(await lab.stores.tasks.unfinished()).to.deep.equal([]);
        expect([...lab.fake.inventory.values()].filter((one) => one.phase !== "ready")).to.deep.equal([]);
      }),
      { numRuns: 60 },
    );
  });
});
