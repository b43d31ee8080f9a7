import { expect } from "chai";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { openLab, type Lab } from "../support/lab.js";

interface Task {
  readonly ref: string;
  readonly type: string;
  readonly node: string;
  readonly resourceId: string;
  readonly status: string;
}

describe("apply --rehearse", () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await openLab();
  });
  afterEach(() => lab.close());

  /** The rows of the table of tasks, without their ends. */
  const rehearsed = (out: string): string[] =>
    out
      .slice(out.indexOf("What would happen:"))
      .split("\n")
      .slice(2)
      .map((line) => line.trim().split(/ {3,}/))
      .filter((cells) => cells.length === 5)
      .map((cells) => cells.join(" "));

  it("tells the tasks of an apply, and how they end, and does none of them", async () => {
    const told = await lab.call(["apply", "-f", "manifests", "--rehearse"]);
    expect(told.code, told.err + told.out).to.equal(0);
    expect(told.out).to.match(
      /^Rehearsal on a copy of the cluster: nothing is changed, neither there nor in the database/,
    );
    expect(told.out).to.match(/4 to create, 0 to change, 0 to delete, 0 unchanged\n/);
    expect(told.out).to.match(/4 done, 0 failed, 0 skipped/);
    expect(told.err).to.not.contain("Warning");

    expect(lab.writes()).to.deep.equal([]);
    const kept = async (what: string) => {
      const { out } = await lab.call(["get", what, "--cached", "-o", "json"]);
      return (JSON.parse(out) as { items: Task[] }).items;
    };
    expect([await kept("tasks"), await kept("resources")]).to.deep.equal([[], []]);

    const done = await lab.call(["apply", "-f", "manifests"]);
    expect(done.code, done.err).to.equal(0);
    const real = (await kept("tasks")).filter(({ ref }) => ref !== undefined);
    expect(rehearsed(told.out).sort()).to.deep.equal(
      real.map(({ ref, type, node, resourceId, status }) => [ref, type, node, resourceId, status].join(" ")).sort(),
    );
  });

  const vm = (name: string, more: string): string =>
    `apiVersion: proxmoor.dev/v1\nkind: VirtualMachine\nmetadata: { name: ${name} }\nspec:\n  node: pve1\n  from: { template: debian-12 }\n  power: running\n${more}`;
  const write = async (text: string): Promise<void> => writeFile(path.join(lab.folder, "vm.yaml"), text);

  it("shows PVE's errors: a bridge that is not there", async () => {
    await write(vm("web", "  networks: { net0: { bridge: vmbr7 } }\n"));
    const { code, out } = await lab.call(["apply", "-f", "vm.yaml", "--rehearse"]);
    expect(code).to.equal(1);
    expect(out).to.match(/vm\/web +qmstart +pve1 +\d+ +ERROR: bridge 'vmbr7' does not exist\n/);
    expect(lab.writes()).to.deep.equal([]);
  });

  it("knows the bridges that no guest is on", async () => {
    await write(vm("web", "  networks: { net0: { bridge: vmbr1 } }\n"));
    expect((await lab.call(["apply", "-f", "vm.yaml", "--rehearse"])).code).to.equal(0);
  });

  it("shows what the log-in may not do", async () => {
    await write(vm("web", "  memory: 1Gi\n"));
    const env = { PROXMOX_VE_API_TOKEN: lab.simulator.credentials.readOnlyToken };
    const { code, out } = await lab.call(["apply", "-f", "vm.yaml", "--rehearse"], { env });
    expect(code).to.equal(1);
    expect(out).to.contain("Permission check failed (/vms/9000, VM.Clone)");
    expect(lab.writes()).to.deep.equal([]);
  });

  it("shows a guest that is locked", async () => {
    await lab.call(["apply", "-f", "manifests"]);
    const rows = (await lab.pve("GET", "/cluster/resources", { type: "vm" })) as { vmid: number; name: string }[];
    const vmid = rows.find((row) => row.name === "web-01")?.vmid ?? 0;
    await lab.pve("PUT", `/nodes/pve1/qemu/${vmid}/config`, { lock: "backup" });
    await lab.edit("web.yaml", "memory: 1Gi", "memory: 2Gi");
    lab.writes();
    const { code, out } = await lab.call(["apply", "-f", "manifests", "--rehearse"]);
    expect(code).to.equal(1);
    expect(out).to.contain("VM is locked (backup)");
    expect(lab.writes()).to.deep.equal([]);
  });

  it("shows a storage that is too full", async () => {
    await lab.pve("POST", "/storage", { storage: "thick", type: "lvm", vgname: "vg", content: "images" });
    await write(vm("web", "  disks: { scsi1: { storage: thick, size: 900Gi } }\n"));
    const { code, out } = await lab.call(["apply", "-f", "vm.yaml", "--rehearse"]);
    expect(code).to.equal(1);
    expect(out).to.match(/not enough free space \(\d+ < 966367641600\)/);
    expect(lab.writes()).to.deep.equal([]);
  });

  it("tells programs as JSON lines", async () => {
    await write(vm("web", "  memory: 1Gi\n"));
    const { code, out } = await lab.call(["apply", "-f", "vm.yaml", "--rehearse", "-o", "json"]);
    expect(code).to.equal(0);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; task?: string; status?: string });
    expect([lines[0]?.type, lines[1]?.type, lines.at(-1)?.type]).to.deep.equal(["rehearsal", "plan", "result"]);
    expect(lines.filter((line) => line.type === "task").map(({ task, status }) => `${task} ${status}`)).to.deep.equal([
      "qmclone OK",
      "configure OK",
      "qmstart OK",
    ]);
  });

  it("refuses what apply refuses", async () => {
    await lab.call(["apply", "-f", "manifests"]);
    const { code, err } = await lab.call(["apply", "-f", "manifests", "--rehearse", "--max-deletes", "x"]);
    expect([code, err]).to.deep.equal([2, `error: --max-deletes must be a number from 0, not "x" [USAGE]\n`]);
  });
});
