import { expect } from "chai";
import { Lab } from "../../support/fake-lab.js";
import { conditions, FakeController, FakeSource } from "../../support/fake-controller.js";
import { ct, vm } from "../apply/manifests.js";

const MINUTE = 60_000;

async function running(files: Record<string, string>, settings: ConstructorParameters<typeof FakeController>[1] = {}) {
  const lab = new Lab();
  const source = new FakeSource();
  for (const [file, text] of Object.entries(files)) source.files.set(file, text);
  const controller = await new FakeController(lab, { source, ...settings }).start(MINUTE);
  return { lab, source, controller };
}

const reasons = (lab: Lab) => lab.fake.eventRows.map((event) => `${event.ref} ${event.reason}`);

describe("the controller", () => {
  const started: FakeController[] = [];
  const start: typeof running = async (...args) => {
    const made = await running(...args);
    started.push(made.controller);
    return made;
  };
  afterEach(async () => {
    for (const controller of started.splice(0)) if (controller.ended === undefined) await controller.end();
  });

  it("makes what is declared, then leaves it alone", async () => {
    const { lab, controller } = await start({ "web.yaml": vm("web"), "db.yaml": ct("db") });
    expect(lab.pve.print()).to.equal(
      "100 ct db pve2 running description=(marker) rootfs=data:vm-100-rootfs,size=8G\n101 vm web pve1 running",
    );
    expect(reasons(lab)).to.deep.equal(["ct/db Created", "vm/web Created"]);
    const [writes, looks] = [lab.pve.writes.length, controller.count("reconciled unchanged")];
    await lab.clock.pass(60 * MINUTE);
    expect(lab.pve.writes).to.have.length(writes);
    expect(controller.count("reconciled unchanged")).to.be.at.most(looks + 2);
    expect(controller.count("drift corrected")).to.equal(0);
    expect(await conditions(lab, "vm/web")).to.equal("");
    expect(lab.pve.violations).to.deep.equal([]);
  });

  it("corrects drift: a stopped guest, an edited field", async () => {
    const { lab, controller } = await start({ "web.yaml": vm("web", "power: running, onBoot: true") });
    lab.pve.guest(100).status = "stopped";
    lab.pve.edit(100, { onboot: "0" });
    await lab.clock.pass(MINUTE);
    expect(lab.pve.print()).to.equal("100 vm web pve1 running onboot=1");
    expect(controller.count("drift corrected")).to.equal(1);
    expect(lab.fake.eventRows.filter((one) => one.reason === "DriftCorrected").map((one) => one.message)).to.deep.equal(
      ["onBoot: false → true; power: stopped → running"],
    );
  });

  it("reports or ignores drift where the manifest says so, and clears the report when it is gone", async () => {
    const { lab, controller } = await start({
      "web.yaml": vm("web", "power: running, onBoot: true, lifecycle: { drift: report }"),
      "app.yaml": vm("app", "power: running, onBoot: true, lifecycle: { drift: ignore }"),
    });
    const writes = lab.pve.writes.length;
    for (const vmid of [100, 101]) lab.pve.edit(vmid, { onboot: "0" });
    await lab.clock.pass(MINUTE);
    expect(lab.pve.writes).to.have.length(writes);
    expect(await conditions(lab, "vm/web")).to.match(/^Drifted=True Differs: onBoot: false → true; .*Synced=False/);
    expect(await conditions(lab, "vm/app")).to.equal("");
    expect(controller.count("drift corrected")).to.equal(0);
    lab.pve.edit(101, { onboot: "1" });
    await lab.clock.pass(MINUTE);
    expect(await conditions(lab, "vm/web")).to.equal("");
  });

  it("takes its own changes for no drift, although its last look is older", async () => {
    const { lab, source, controller } = await start({
      "web.yaml": vm("web", "power: running, onBoot: true, lifecycle: { drift: report }"),
    });
    for (const [n, on] of [false, true, false, true].entries()) {
      source.write(
        "web.yaml",
        vm("web", `power: running, onBoot: ${on}, description: v${n}, lifecycle: { drift: report }`),
      );
      await lab.clock.pass(1500);
      source.write("web.yaml", source.files.get("web.yaml"));
    }
    await lab.clock.pass(MINUTE);
    expect(lab.pve.print()).to.equal("100 vm web pve1 running description=v3 onboot=1");
    expect([controller.count("drift reported"), controller.count("drift corrected")]).to.deep.equal([0, 0]);
    expect(reasons(lab)).to.deep.equal(["vm/web Created", ...Array<string>(4).fill("vm/web Updated")]);
  });

  it("restarts only where the manifest allows it, and says so as long as it waits", async () => {
    const { lab, source } = await start({ "web.yaml": vm("web", "power: running, cpu: { cores: 1 }") });
    source.write("web.yaml", vm("web", "power: running, cpu: { cores: 2 }"));
    await lab.clock.pass(5 * MINUTE);
    expect(lab.pve.print()).to.contain("cores=2 (waits: cores)");
    expect(await conditions(lab, "vm/web")).to.equal("RestartRequired=True PendingChanges: cpu.cores");
    expect(lab.pve.writes.filter((write) => write.startsWith("reboot"))).to.deep.equal([]);
    // a person restarts it
    lab.pve.guest(100).pending = {};
    await lab.clock.pass(MINUTE);
    expect(await conditions(lab, "vm/web")).to.equal("");
    source.write("web.yaml", vm("web", "power: running, cpu: { cores: 3 }, lifecycle: { restart: allow }"));
    await lab.clock.pass(MINUTE);
    expect(lab.pve.print()).to.equal("100 vm web pve1 running cores=3");
  });

  it("leaves a guest alone that it did not make, says why, and takes it once it may", async () => {
    const lab = new Lab();
    lab.pve.add({ kind: "VirtualMachine", vmid: 150, config: { name: "web" } });
    const source = new FakeSource();
    source.files.set("web.yaml", vm("web"));
    const controller = await new FakeController(lab, { source }).start(MINUTE);
    started.push(controller);
    expect(lab.pve.writes).to.deep.equal([]);
    expect(new Set(reasons(lab))).to.deep.equal(new Set(["vm/web Blocked"]));
    source.write("web.yaml", vm("web").replace("name: web", 'name: web, annotations: { proxmoor.dev/adopt: "true" }'));
    await lab.clock.pass(MINUTE);
    expect(lab.pve.print()).to.equal("150 vm web pve1 running");
    expect(await conditions(lab, "vm/web")).to.equal("");
  });

  it("waits for all dependencies, and goes on as soon as the last is there", async () => {
    const lab = new Lab();
    lab.pve.faults.push({ op: "create", vmid: 101, how: "refused", times: 4, text: "no options specified" });
    const source = new FakeSource();
    source.files.set("a.yaml", vm("app", "power: running, dependsOn: [ct/db, vm/zone]") + ct("db") + vm("zone"));
    const controller = await new FakeController(lab, { source }).start(4000);
    started.push(controller);
    await lab.clock.pass(MINUTE);
    const made = lab.pve.writes.filter((write) => write.startsWith("create"));
    expect(made).to.have.length(3);
    const app = await lab.resource("vm/app");
    expect(made.at(-1)).to.equal(`create ${app?.vmid}`);
    expect(lab.pve.print().split("\n")).to.have.length(3);
  });

  it("prunes only when asked, from sources that were read whole", async () => {
    const files = {
      "a.yaml": vm("a", "power: running, lifecycle: { prune: delete }"),
      "b.yaml": vm("b", "power: running, lifecycle: { prune: keep }"),
      "c.yaml": vm("c", "power: running, lifecycle: { prune: delete }"),
    };
    const off = await start(files);
    off.source.write("a.yaml", undefined);
    await off.lab.clock.pass(5 * MINUTE);
    expect(off.lab.pve.guests.size).to.equal(3);

    const on = await start(files, { policy: { prunes: () => true } });
    on.source.isWhole = false;
    on.source.write("a.yaml", undefined);
    on.source.write("b.yaml", undefined);
    await on.lab.clock.pass(5 * MINUTE);
    expect(on.lab.pve.guests.size).to.equal(3);
    on.source.isWhole = true;
    on.source.write("c.yaml", "kind: [broken");
    await on.lab.clock.pass(5 * MINUTE);
    expect(on.lab.pve.guests.size).to.equal(3);
    on.source.write("c.yaml", files["c.yaml"]);
    await on.lab.clock.pass(5 * MINUTE);
    // b's manifest said to keep it
    expect([...on.lab.pve.guests.keys()]).to.deep.equal([101, 102]);
    expect(reasons(on.lab)).to.include("vm/a Deleted");
  });

  it("prunes nothing where more would go than is allowed at once", async () => {
    const { lab, source, controller } = await start(
      Object.fromEntries(
        [..."abcd"].map((name) => [`${name}.yaml`, vm(name, "power: running, lifecycle: { prune: delete }")]),
      ),
      { policy: { prunes: () => true, maxDeletes: 2 } },
    );
    for (const name of "abc") source.write(`${name}.yaml`, undefined);
    await lab.clock.pass(10 * MINUTE);
    expect(lab.pve.guests.size).to.equal(4);
    expect(controller.log.join("\n")).to.contain("nothing is pruned");
    source.write("a.yaml", vm("a", "power: running, lifecycle: { prune: delete }"));
    await lab.clock.pass(10 * MINUTE);
    expect(lab.pve.guests.size).to.equal(2);
  });

  it("keeps what was good of a broken manifest, says so, and goes on with the others", async () => {
    const { lab, source, controller } = await start({ "a.yaml": vm("a"), "b.yaml": vm("b") });
    source.write("a.yaml", "kind: VirtualMachine\n  metadata: {");
    source.write("b.yaml", vm("b", "power: running, onBoot: true"));
    lab.pve.guest(100).status = "stopped";
    await lab.clock.pass(MINUTE);
    expect(lab.pve.print()).to.equal("100 vm a pve1 running\n101 vm b pve1 running onboot=1");
    expect(controller.loop.status.faults.map((fault) => fault.place.file)).to.include("a.yaml");
    source.write("a.yaml", vm("a", "power: stopped"));
    await lab.clock.pass(MINUTE);
    expect(controller.loop.status.faults).to.deep.equal([]);
    expect(lab.pve.print()).to.contain("100 vm a pve1 stopped");
    expect(controller.log.join("\n")).to.contain("manifests are sound again");
  });

  it("reads manifests now and then though no watcher tells", async () => {
    const { lab, source } = await start({ "a.yaml": vm("a") });
    source.files.set("a.yaml", vm("a", "power: stopped"));
    await lab.clock.pass(5 * MINUTE);
    expect(lab.pve.print()).to.equal("100 vm a pve1 stopped");
  });

  it("sits out PVE being away: one line of log, no hot loop, and goes on when it is back", async () => {
    const lab = new Lab();
    lab.pve.down = true;
    const source = new FakeSource();
    source.files.set("a.yaml", vm("a"));
    const controller = await new FakeController(lab, { source }).start(10 * MINUTE);
    started.push(controller);
    expect(controller.loop.status).to.include({ started: false, pollError: "connect ECONNREFUSED" });
    expect(controller.count("polled failed")).to.be.within(50, 70);
    expect(controller.log.filter((line) => line.includes("could not be looked at"))).to.have.length(1);
    lab.pve.down = false;
    await lab.clock.pass(MINUTE);
    expect(lab.pve.print()).to.equal("100 vm a pve1 running");
    lab.pve.down = true;
    await lab.clock.pass(10 * MINUTE);
    lab.pve.down = false;
    lab.pve.guest(100).status = "stopped";
    await lab.clock.pass(MINUTE);
    expect(lab.pve.print()).to.equal("100 vm a pve1 running");
    expect(controller.loop.status.pollError).to.equal(undefined);
    expect(await conditions(lab, "vm/a")).to.equal("");
  });

  it("tries again with growing pauses what PVE refuses, and at once when the manifest changes", async () => {
    const lab = new Lab();
    lab.pve.faults.push({ op: "create", how: "refused", times: 1000, text: "no options specified" });
    const source = new FakeSource();
    source.files.set("a.yaml", vm("a"));
    const controller = await new FakeController(lab, { source }).start(30 * MINUTE);
    started.push(controller);
    const tries = controller.count("reconciled failed");
    expect(tries).to.be.within(10, 18);
    lab.pve.faults.length = 0;
    source.write("a.yaml", vm("a", "power: stopped"));
    await lab.clock.pass(10_000);
    expect(lab.pve.print()).to.equal("100 vm a pve1 stopped");
    expect(await conditions(lab, "vm/a")).to.equal("");
  });

  it("ends within its grace on SIGTERM: work is finished", async () => {
    const lab = new Lab();
    const source = new FakeSource();
    source.files.set("a.yaml", vm("a"));
    const controller = await new FakeController(lab, { source }).start(500);
    expect(await controller.end()).to.be.within(1000, 30_000);
    expect([controller.ended, lab.pve.print()]).to.deep.equal(["ended", "100 vm a pve1 running"]);
    expect([...lab.fake.leaseRows.values()].filter((row) => row.holder !== undefined)).to.deep.equal([]);
    expect(lab.clock.sleepers).to.equal(0);
  });

  it("ends when its grace is over: PVE's task goes on and the next start picks it up", async () => {
    const lab = new Lab();
    lab.pve.add({ kind: "VirtualMachine", vmid: 900, template: true, config: { name: "debian-12" } });
    const source = new FakeSource();
    source.files.set("a.yaml", vm("a", "power: running, from: { template: debian-12 }"));
    const controller = await new FakeController(lab, { source, options: { grace: 5000 } }).start(2000);
    expect(await controller.end()).to.be.within(4000, 6000);
    expect(await lab.tasks()).to.match(/^qmclone 100 running/);
    started.push(await new FakeController(lab, { source, holder: "controller-2" }).start(MINUTE));
    expect(lab.pve.writes).to.deep.equal(["clone 100", "configure 100", "start 100"]);
    expect(lab.pve.print()).to.match(/^100 vm a pve1 running/);
    expect(await lab.stores.tasks.unfinished()).to.deep.equal([]);
  });

  it("looks after what a dead apply left, also of guests that nothing declares", async () => {
    const lab = new Lab();
    const [id] = await lab.stores.tasks.plan([
      { node: "pve1", type: "qmstart", resourceType: "vm", resourceId: "777", ref: "vm/gone", run: "dead" },
    ]);
    await lab.stores.tasks.begin(id ?? 0, { method: "POST", path: "/x", params: {} }, lab.clock.now());
    await lab.stores.leases.acquire({ name: "vm/gone", holder: "dead", ttlMs: 30_000, now: lab.clock.now() });
    started.push(await new FakeController(lab, {}).start(2 * MINUTE));
    expect(await lab.tasks()).to.match(/^qmstart 777 ERROR: the run ended before an answer came/);
  });

  it("refuses to start beside another one, and takes over from a dead one", async () => {
    const { lab, controller } = await start({ "a.yaml": vm("a") });
    const second = await new FakeController(lab, { holder: "controller-2" }).start();
    expect(second.ended).to.equal("ProxmoorError: another controller works on this database: controller-1");
    await controller.end();
    await lab.stores.leases.acquire({ name: "controller", holder: "dead", ttlMs: 30_000, now: lab.clock.now() });
    await lab.clock.pass(31_000);
    const third = await new FakeController(lab, { holder: "controller-3" }).start();
    started.push(third);
    expect(third.ended).to.equal(undefined);
  });

  it("keeps its lease while it starts, works and drains", async () => {
    const lab = new Lab();
    lab.pve.add({ kind: "VirtualMachine", vmid: 900, template: true, config: { name: "debian-12" } });
    const source = new FakeSource();
    const read = source.read;
    source.read = async () => {
      await lab.clock.sleep(2 * MINUTE);
      return read();
    };
    source.files.set("a.yaml", vm("a"));
    const first = await new FakeController(lab, { source, options: { grace: 10 * MINUTE } }).start(90_000);
    const beside = async () => (await new FakeController(lab, { holder: "other" }).start()).ended;
    expect(await beside()).to.contain("controller-1");
    lab.pve.faults.push({ op: "create", how: "refused", times: 1000, text: "VM is locked (backup)" });
    await lab.clock.pass(31_000);
    first.stop.abort();
    await lab.clock.pass(45_000);
    expect([first.ended, await beside()]).to.deep.equal([
      undefined,
      "ProxmoorError: another controller works on this database: controller-1",
    ]);
    await first.end();
  });

  it("stops everything when its lease goes to somebody else", async () => {
    const { lab, controller } = await start({ "a.yaml": vm("a") });
    lab.fake.leaseRows.set("controller", { holder: "thief", token: 99, expiresAt: Infinity });
    await lab.clock.pass(MINUTE);
    expect(controller.ended).to.equal("ProxmoorError: another controller works on this database: thief");
    const writes = lab.pve.writes.length;
    lab.pve.guest(100).status = "stopped";
    await lab.clock.pass(10 * MINUTE);
    expect(lab.pve.writes).to.have.length(writes);
    expect(lab.clock.sleepers).to.equal(0);
    expect(lab.fake.leaseRows.get("controller")?.holder).to.equal("thief");
  });

  it("leaves a guest to an apply that works on it, and looks again", async () => {
    const { lab, source } = await start({ "a.yaml": vm("a") });
    await lab.stores.leases.acquire({ name: "vm/a", holder: "apply", ttlMs: 20_000, now: lab.clock.now() });
    const writes = lab.pve.writes.length;
    source.write("a.yaml", vm("a", "power: running, onBoot: true"));
    await lab.clock.pass(15_000);
    expect(lab.pve.writes).to.have.length(writes);
    await lab.clock.pass(MINUTE);
    expect(lab.pve.print()).to.contain("onboot=1");
  });

  it("makes many at once, each under a vmid of its own, without a failure", async () => {
    const many = [..."abcdefghijkl"].map((name) => vm(name)).join("");
    const { lab, controller } = await start({ "many.yaml": many }, { options: { workers: 8 } });
    expect(lab.pve.guests.size).to.equal(12);
    expect([controller.count("reconciled failed"), lab.pve.violations.length]).to.deep.equal([0, 0]);
  });
});
