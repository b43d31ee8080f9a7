import { expect } from "chai";
import type { FaultRule } from "../../src/simulator/index.js";
import { openLab, type Lab } from "../support/lab.js";

/** What a person reads: `proxmoor apply` over HTTPS under a fault; what varies is left out. */
describe("proxmoor apply under a fault", () => {
  let lab: Lab;
  beforeEach(async () => (lab = await openLab()));
  afterEach(() => lab.close());

  const apply = async (rule: FaultRule): Promise<{ code: number; told: string[] }> => {
    lab.simulator.faults.add(rule);
    const { code, out, err } = await lab.call(["apply", "-f", "manifests", "--yes"]);
    const lines = `${err}\n${out}`.split("\n").filter((line) => /failed|skipped|warnings|^ {2}\S.*: /.test(line));
    return { code, told: lines.filter((line) => line.includes("web-01")).map((line) => line.trim()) };
  };

  it("tells PVE's words and what to do: a storage is full", async () => {
    const { code, told } = await apply({ match: { at: 0 }, effect: { storage: { id: "local-lvm", full: true } } });
    expect(code).to.equal(1);
    expect(told.join("\n")).to.match(/vm\/web-01: clone failed: .*not enough free space/);
    lab.simulator.faults.clear();
    expect((await lab.call(["apply", "-f", "manifests", "--yes"])).code).to.equal(0);
  });

  it("tells PVE's warnings, and goes on", async () => {
    const warn = { how: "warn", text: "old machine version" } as const;
    const { code, told } = await apply({ match: { task: "qmclone" }, effect: { task: warn } });
    expect(code).to.equal(0);
    expect(told.join("\n")).to.match(/vm\/web-01: clone done in .*, with warnings: old machine version/);
  });

  for (const close of ["after", "middle"] as const)
    it(`finds what became of writes whose connections are closed ${close} they are taken`, async () => {
      const { code } = await apply({ match: { method: "POST" }, probability: 0.5, effect: { close } });
      expect(code).to.equal(0);
      lab.simulator.faults.clear();
      expect((await lab.call(["diff", "-f", "manifests"])).out).to.contain("Nothing to change.");
      const made = lab.simulator.requests.filter(
        ({ method, path }) => method === "POST" && /\/(qemu|lxc|clone)$/.test(path),
      );
      expect(made, "creations and clones, lost or not").to.have.length(4);
    });
});
