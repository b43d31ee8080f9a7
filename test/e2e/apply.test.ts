import { expect } from "chai";
import { rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { openLab, type Lab } from "../support/lab.js";

interface ListedGuest {
  readonly vmid: number;
  readonly name?: string;
  readonly status: string;
  readonly node: string;
}

describe("diff and apply against the simulated cluster", () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await openLab();
  });
  afterEach(() => lab.close());

  const guests = async () => (await lab.pve("GET", "/cluster/resources", { type: "vm" })) as ListedGuest[];
  const named = async (name: string) => {
    const found = (await guests()).filter((one) => one.name === name);
    expect(found, `guests called ${name}`).to.have.length(1);
    return found[0] as ListedGuest;
  };

  it("shows differences, applies them, and then has nothing to change and sends nothing", async () => {
    const before = await lab.call(["diff", "-f", "manifests"]);
    expect(before.code, before.err).to.equal(1);
    expect(before.out).to.match(/4 to create, 0 to change, 0 to delete, 0 unchanged\n$/);
    expect(lab.writes()).to.deep.equal([]);

    const applied = await lab.call(["apply", "-f", "manifests"]);
    expect(applied.code, applied.err + applied.out).to.equal(0);
    expect(applied.out).to.match(/4 done, 0 failed, 0 skipped/);
    expect(lab.writes()).to.not.be.empty;

    const after = await lab.call(["diff", "-f", "manifests"]);
    expect(after.out).to.equal("Nothing to change.\n0 to create, 0 to change, 0 to delete, 4 unchanged\n");
    expect(after.code).to.equal(0);

    const again = await lab.call(["apply", "-f", "manifests"]);
    expect(again.code).to.equal(0);
    expect(lab.writes()).to.deep.equal([]);
  });

  it("changes just the field that was edited", async () => {
    await lab.call(["apply", "-f", "manifests"]);
    lab.writes();
    await lab.edit("web.yaml", "memory: 1Gi", "memory: 2Gi");
    const diff = await lab.call(["diff", "-f", "manifests"]);
    expect(diff.code).to.equal(1);
    expect(diff.out).to.contain("-memory: 1Gi\n+memory: 2Gi  # restart\n");
    const applied = await lab.call(["apply", "-f", "manifests", "--yes"]);
    expect(applied.code, applied.err + applied.out).to.equal(0);
    const { vmid } = await named("web-01");
    expect(lab.writes()).to.deep.equal([
      `PUT /nodes/pve1/qemu/${vmid}/config`,
      `POST /nodes/pve1/qemu/${vmid}/status/reboot`,
    ]);
    const log = lab.simulator.requests.filter((one) => one.method === "PUT");
    expect(Object.keys(log.at(-1)?.params ?? {}).sort()).to.deep.equal(["digest", "memory"]);
    expect((await lab.call(["diff", "-f", "manifests"])).code).to.equal(0);
  });

  it("puts a field that is taken out back to PVE's default", async () => {
    await lab.call(["apply", "-f", "manifests"]);
    await lab.edit("web.yaml", /^ {2}onBoot: true\n/m, "");
    const diff = await lab.call(["diff", "-f", "manifests"]);
    expect(diff.out).to.contain("-onBoot: true  # back to PVE's default (false), live");
    expect((await lab.call(["apply", "-f", "manifests"])).code).to.equal(0);
    const { vmid, node } = await named("web-01");
    expect(await lab.pve("GET", `/nodes/${node}/qemu/${vmid}/config`)).to.not.have.property("onboot");
    expect((await lab.call(["diff", "-f", "manifests"])).code).to.equal(0);
  });

  it("deletes the guest of a manifest that is gone with --prune, and not without", async () => {
    await lab.call(["apply", "-f", "manifests"]);
    await rm(path.join(lab.manifests, "db.yaml"));
    lab.writes();
    expect((await lab.call(["apply", "-f", "manifests", "--yes"])).code).to.equal(0);
    expect(lab.writes()).to.deep.equal([]);
    const { vmid } = await named("db-01");

    const asked = await lab.call(["apply", "-f", "manifests", "--prune"]);
    expect(asked.code).to.equal(2);
    expect(asked.err).to.contain("delete vm/db-01").and.to.contain("APPLY_DECLINED");
    expect(lab.writes()).to.deep.equal([]);

    const pruned = await lab.call(["apply", "-f", "manifests", "--prune", "--yes"]);
    expect(pruned.code, pruned.err).to.equal(0);
    expect(lab.writes()).to.include(`DELETE /nodes/pve2/qemu/${vmid}`);
    expect((await guests()).map((one) => one.name)).to.not.include("db-01");
  });

  it("prunes nothing that another file or folder declared", async () => {
    await lab.call(["apply", "-f", "manifests"]);
    const other = path.join(lab.folder, "other.yaml");
    await rename(path.join(lab.manifests, "containers.yaml"), other);
    expect((await lab.call(["apply", "-f", "other.yaml"])).code).to.equal(0);
    lab.writes();
    const pruned = await lab.call(["apply", "-f", "manifests", "--prune", "--yes"]);
    expect(pruned.code).to.equal(0);
    expect(lab.writes()).to.deep.equal([]);
  });

  it("never touches a guest that it did not make", async () => {
    const legacy = await named("legacy-app");
    const config = await lab.pve("GET", `/nodes/${legacy.node}/qemu/${legacy.vmid}/config`);
    await writeFile(
      path.join(lab.manifests, "legacy.yaml"),
      `apiVersion: proxmoor.dev/v1\nkind: VirtualMachine\nmetadata: { name: legacy-app }\nspec: { node: ${legacy.node}, memory: 4Gi }\n`,
    );
    const applied = await lab.call(["apply", "-f", "manifests", "--prune", "--yes"]);
    expect(applied.code).to.equal(1);
    expect(applied.out).to.contain("it exists already and Proxmoor did not make it");
    expect(lab.writes().filter((write) => write.includes(`/qemu/${legacy.vmid}`))).to.deep.equal([]);
    expect(await lab.pve("GET", `/nodes/${legacy.node}/qemu/${legacy.vmid}/config`)).to.deep.equal(config);
    const refused = await lab.call(["delete", "vm/legacy-app", "--yes"]);
    expect(refused.code).to.equal(2);
    expect(refused.err).to.contain("not in the inventory");
  });

  it("adopts a guest when it is told to, and then changes only what is declared", async () => {
    const legacy = await named("legacy-app");
    await writeFile(
      path.join(lab.folder, "legacy.yaml"),
      `apiVersion: proxmoor.dev/v1\nkind: VirtualMachine\nmetadata: { name: legacy-app }\nspec: { node: ${legacy.node}, description: adopted }\n`,
    );
    const applied = await lab.call(["apply", "-f", "legacy.yaml", "--adopt"]);
    expect(applied.code, applied.out + applied.err).to.equal(0);
    expect(lab.writes()).to.deep.equal([`PUT /nodes/${legacy.node}/qemu/${legacy.vmid}/config`]);
    expect((await lab.call(["diff", "-f", "legacy.yaml"])).code).to.equal(0);
    expect((await lab.call(["get", "resources", "-o", "name"])).out).to.equal("vm/legacy-app\n");
  });

  it("reports every fault of every file in one go and contacts nothing", async () => {
    const seen = lab.simulator.requests.length;
    await writeFile(
      path.join(lab.manifests, "bad.yaml"),
      "apiVersion: proxmoor.dev/v1\nkind: VirtualMachine\nmetadata: { name: x }\nspec: { node: pve1, memroy: 4Gi, cpu: { cores: 0 } }\n",
    );
    await writeFile(path.join(lab.manifests, "worse.yaml"), "a: [1\n");
    const applied = await lab.call(["apply", "-f", "manifests", "--yes"]);
    expect(applied.code).to.equal(2);
    expect(applied.err).to.match(/bad\.yaml:4:\d+: spec\.memroy is unknown; .*did you mean memory\?/);
    expect(applied.err).to.match(/bad\.yaml:4:\d+: spec\.cpu\.cores is 0/);
    expect(applied.err).to.match(/worse\.yaml:\d+:\d+: /);
    expect(lab.simulator.requests.length).to.equal(seen);
  });

  it("stops what depends on a failed step, and nothing else", async () => {
    await lab.edit("web.yaml", "bridge: vmbr0", "bridge: vmbr9");
    await lab.edit("db.yaml", /^spec:$/m, "spec:\n  dependsOn: [vm/web-01]");
    const applied = await lab.call(["apply", "-f", "manifests"]);
    expect(applied.code).to.equal(1);
    expect(applied.out).to.match(/failed {3}vm\/web-01: /);
    expect(applied.out).to.contain("skipped  vm/db-01: vm/web-01 failed");
    expect(applied.out).to.match(/2 done, 1 failed, 1 skipped/);
    const tasks = (await lab.call(["get", "tasks", "-o", "json"])).out;
    expect(tasks).to.contain('"status": "ERROR"');
    await lab.edit("web.yaml", "bridge: vmbr9", "bridge: vmbr0");
    expect((await lab.call(["apply", "-f", "manifests"])).code).to.equal(0);
    expect((await lab.call(["diff", "-f", "manifests"])).code).to.equal(0);
  });
});
