import { expect } from "chai";
import { withLease } from "../../../src/apply/lease.js";
import { declare, FakeProcess, Lab } from "../../support/fake-lab.js";
import { FakeStores } from "../../support/fake-stores.js";
import { FakeClock } from "../../support/fake-clock.js";
import { clone, ct, vm } from "./manifests.js";

const TEMPLATE = { kind: "VirtualMachine", vmid: 900, template: true, config: { name: "debian-12" } } as const;

describe("several runs on one database", () => {
  it("two that make the same guest make one", async () => {
    const lab = new Lab();
    lab.pve.add(TEMPLATE);
    const desired = declare(clone("web", "power: running"));
    const second = lab.plan(desired);
    const first = lab.plan(desired);
    const [one, two] = await lab.clock.drive(Promise.all([(await first)(), (await second)()]));
    const results = [one, two].map((run) => run.text).sort();
    expect(results[0]).to.equal("vm/web done create");
    expect(results[1]).to.match(/^vm\/web (done keep|failed create \[APPLY_BUSY\] run-\d works on it)$/);
    expect(lab.pve.writes).to.deep.equal(["clone 100", "configure 100", "start 100"]);
  });

  it("two that chose the same vmid for two guests take one each", async () => {
    const lab = new Lab();
    const runs = await Promise.all([
      lab.plan(declare(vm("a"))),
      lab.plan(declare(vm("b"))),
      lab.plan(declare(ct("c"))),
    ]);
    const done = await lab.clock.drive(Promise.all(runs.map((run) => run())));
    expect(done.map((run) => run.text)).to.deep.equal(["vm/a done create", "vm/b done create", "ct/c done create"]);
    expect([...lab.pve.guests.keys()].sort()).to.deep.equal([100, 101, 102]);
  });

  it("a run that planned before another made the guest under another vmid does not make it again", async () => {
    const lab = new Lab();
    const late = await lab.plan(declare(vm("web")));
    lab.pve.add({ kind: "VirtualMachine", vmid: 100, config: { name: "by-hand" } });
    await lab.apply(declare(vm("web")));
    lab.pve.guests.delete(100);
    const { text } = await lab.clock.drive(late());
    expect(text).to.match(/vm\/web (done keep|failed create \[APPLY_STALE\])/);
    expect([...lab.pve.guests.keys()]).to.deep.equal([101]);
  });

  it("a plan against what is no longer so is refused, and taken where it comes out the same", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("web", "power: running, memory: 1Gi")));
    const desired = declare(vm("web", "power: running, memory: 2Gi, lifecycle: { restart: allow }"));
    const unrelated = () => lab.pve.edit(100, { description: "by hand" });
    const related = () => lab.pve.edit(100, { memory: "3072" });
    const stale = await lab.apply(desired, { between: related });
    expect(stale.text).to.equal(
      "vm/web failed update [APPLY_STALE] the guest changed since the plan was made, and the plan with it",
    );
    expect((await lab.apply(desired, { between: unrelated })).text).to.equal("vm/web done update");
    expect(
      (
        await lab.apply(declare(vm("web", "power: stopped, memory: 2Gi")), {
          between: () => void (lab.pve.guest(100).status = "stopped"),
        })
      ).text,
    ).to.equal("vm/web done keep");
  });

  it("a delete finds its guest stopped, or gone already", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("a") + vm("b")));
    const between = () => {
      lab.pve.guest(100).status = "stopped";
      lab.pve.guests.delete(101);
    };
    expect((await lab.remove(["vm/a", "vm/b"], { between })).text).to.equal("vm/a done delete\nvm/b done delete");
    expect(lab.pve.guests.size).to.equal(0);
    expect(lab.fake.inventory.size).to.equal(0);
  });

  it("a delete does not pull the plug of a guest that was started since it was approved", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("a", "power: stopped")));
    const { text } = await lab.remove(["vm/a"], { between: () => void (lab.pve.guest(100).status = "running") });
    expect(text).to.contain("APPLY_STALE");
    expect(lab.pve.guests.has(100)).to.equal(true);
  });
});

describe("an interrupted run", () => {
  it("leaves what runs in PVE as running, closes the rest, and the next run picks it up", async () => {
    const lab = new Lab();
    lab.pve.add(TEMPLATE);
    const stop = new AbortController();
    lab.pve.faults.push({
      op: "clone",
      how: "before",
      then: () => void lab.clock.sleep(1000).then(() => stop.abort(new Error("SIGINT"))),
    });
    const desired = declare(clone("a", "power: running") + clone("b"));
    const { text } = await lab.apply(desired, { options: { signal: stop.signal } });
    expect(text).to.equal("vm/a interrupted create\nvm/b interrupted create");
    expect(await lab.tasks()).to.equal(
      "qmclone 100 running\nconfigure 100 stopped: not sent\nqmstart 100 stopped: not sent\nqmclone 101 stopped: not sent\nconfigure 101 stopped: not sent",
    );
    expect([...lab.fake.leaseRows.values()].every((row) => row.holder === undefined)).to.equal(true);
    const next = await lab.apply(desired);
    expect(next.events[0]).to.include({ type: "step-progress", key: "vm/a", op: "clone" });
    expect(next.text).to.equal("vm/a done update\nvm/b done create");
    expect(lab.pve.writes.filter((write) => write.startsWith("clone"))).to.deep.equal(["clone 100", "clone 101"]);
  });
});

describe("leases", () => {
  const hold = (clock: FakeClock, stores: FakeStores, holder: string, work: () => Promise<void>, isGone = false) =>
    withLease("vm/web", { leases: stores.leases, clock, holder, isGone: () => isGone }, async (lease) => {
      await work();
      await lease.confirm();
      return `${holder} done`;
    }).catch((error: unknown) => `${holder}: ${String(error)}`);

  it("are kept as long as the work takes, and refused to others meanwhile", async () => {
    const [clock, stores] = [new FakeClock(), new FakeStores()];
    const long = hold(clock, stores, "a", () => clock.sleep(300_000));
    const other = hold(clock, stores, "b", () => Promise.resolve());
    expect(await clock.drive(other)).to.equal("b: ProxmoorError: a works on it");
    expect(await clock.drive(long)).to.equal("a done");
    expect(await clock.drive(hold(clock, stores, "b", () => Promise.resolve()))).to.equal("b done");
  });

  it("of a dead run are taken over when their time is up, at once where it is known to be dead", async () => {
    for (const [isGone, longest] of [
      [false, 31_000],
      [true, 0],
    ] as const) {
      const [clock, stores] = [new FakeClock(), new FakeStores()];
      await stores.leases.acquire({ name: "vm/web", holder: "dead", ttlMs: 30_000, now: clock.now() });
      const began = clock.now();
      expect(await clock.drive(hold(clock, stores, "b", () => Promise.resolve(), isGone))).to.equal("b done");
      expect(clock.now() - began).to.be.at.most(longest);
    }
  });

  it("survive a database that fails for a moment", async () => {
    const [clock, stores] = [new FakeClock(), new FakeStores()];
    const renew = stores.leases.renew.bind(stores.leases);
    let calls = 0;
    stores.leases.renew = (lease) => (++calls === 1 ? Promise.reject(new Error("locked")) : renew(lease));
    const long = hold(clock, stores, "a", () => clock.sleep(120_000));
    await clock.pass(100_000);
    expect(await clock.drive(hold(clock, stores, "b", () => Promise.resolve()))).to.contain("a works on it");
    expect(await clock.drive(long)).to.equal("a done");
  });

  it("that went to somebody else stop the work before its next write", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("web", "power: running, memory: 1Gi")));
    lab.pve.writes.length = 0;
    // the process is frozen (SIGSTOP) for longer than its lease, another one takes over
    lab.pve.onWrite = (step) => {
      if (step.op === "shutdown") lab.fake.leaseRows.set("vm/web", { holder: "thief", token: 9, expiresAt: Infinity });
    };
    const disk = "power: stopped, memory: 2Gi, disks: { scsi0: { storage: data, size: 1Gi } }";
    const first = await lab.apply(declare(vm("web", disk)));
    expect(first.text).to.equal("vm/web done update");
    lab.fake.leaseRows.clear();
    lab.pve.onWrite = (step) => {
      if (step.op === "resize") lab.fake.leaseRows.set("vm/web", { holder: "thief", token: 9, expiresAt: Infinity });
    };
    lab.pve.writes.length = 0;
    const grown = disk.replace("1Gi }", "2Gi }").replace("stopped", "running");
    expect((await lab.apply(declare(vm("web", grown)))).text).to.equal(
      "vm/web failed update [APPLY_BUSY] thief works on it",
    );
    expect(lab.pve.writes).to.deep.equal(["resize 100"]);
  });
});

describe("a run that is killed twice", () => {
  it("is picked up all the same", async () => {
    const desired = declare(clone("web", "power: running") + ct("db"));
    for (let at = 20; at < 90; at += 3) {
      const lab = new Lab();
      lab.pve.add(TEMPLATE);
      for (const dies of [at, at + 7])
        await lab
          .apply(desired, { process: new FakeProcess(lab.clock, { at: dies, when: "after" }) })
          .catch(() => undefined);
      expect((await lab.apply(desired)).text, `killed at ${at}`).to.match(/^(\S+ done \w+\n?){2}$/);
      expect(lab.pve.writes.filter((write) => /^(clone|create)/.test(write))).to.have.length(2);
      expect(lab.pve.violations).to.deep.equal([]);
    }
  });
});
