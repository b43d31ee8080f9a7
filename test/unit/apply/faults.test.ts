import { expect } from "chai";
import type { Fault } from "../../support/fake-pve.js";
import { declare, Lab } from "../../support/fake-lab.js";
import { ct, vm } from "./manifests.js";

const TEMPLATE = { kind: "VirtualMachine", vmid: 900, template: true, config: { name: "debian-12" } } as const;

/** One fault at one write of a run: how the run ends, and what its tasks table says. */
async function withFault(fault: Fault, manifest = vm("web")): Promise<{ lab: Lab; text: string; tasks: string }> {
  const lab = new Lab();
  lab.pve.add(TEMPLATE);
  lab.pve.faults.push(fault);
  const { text } = await lab.apply(declare(manifest));
  return { lab, text, tasks: await lab.tasks() };
}

/** A second run repairs whatever was left, and makes nothing twice. */
async function expectRepaired(lab: Lab, manifest = vm("web")): Promise<void> {
  expect((await lab.apply(declare(manifest))).text).to.match(/^(\S+ done \w+\n?)+$/);
  expect(lab.pve.writes.filter((write) => write === "create 100")).to.have.length.at.most(2);
  expect(lab.pve.guests.get(100)?.status).to.equal("running");
  expect(await lab.stores.tasks.unfinished()).to.deep.equal([]);
  expect(lab.pve.violations).to.deep.equal([]);
}

describe("a write that goes wrong", () => {
  it("lost after PVE took it: its task is found and followed", async () => {
    const { lab, text, tasks } = await withFault({ op: "create", how: "lost-after" });
    expect(text).to.equal("vm/web done create");
    expect(tasks).to.equal("qmcreate 100 OK\nqmstart 100 OK");
    expect(lab.pve.writes).to.deep.equal(["create 100", "start 100"]);
  });

  it("lost before PVE took it: looked for, not sent again; the next run does it", async () => {
    const { lab, text, tasks } = await withFault({ op: "create", how: "lost-before" });
    expect(text).to.equal(
      "vm/web failed create [PVE_NO_ANSWER] the connection was lost; looked for it and found no trace",
    );
    expect(tasks).to.equal("qmcreate 100 unknown: the connection was lost\nqmstart 100 stopped: not sent");
    expect(lab.pve.writes).to.deep.equal([]);
    await expectRepaired(lab);
    expect(await lab.tasks()).to.match(
      /^qmcreate 100 ERROR: the run ended before an answer came.*\nqmstart 100 stopped: not sent\nqmcreate 100 OK\nqmstart 100 OK$/,
    );
  });

  it("a configuration lost after PVE took it is seen in the guest", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("web", "power: running, onBoot: false, description: old")));
    lab.pve.faults.push({ op: "configure", how: "lost-after" });
    expect((await lab.apply(declare(vm("web", "power: running, onBoot: true")))).text).to.equal("vm/web done update");
    expect(lab.pve.print()).to.equal("100 vm web pve1 running onboot=1");
    expect(await lab.tasks()).to.match(/configure 100 OK$/);
  });

  it("a device whose removal was lost before PVE took it is not taken for removed", async () => {
    const lab = new Lab();
    const disks = "power: running, disks: { scsi0: { storage: data, size: 4Gi }, scsi1: { storage: data, size: 1Gi } }";
    await lab.apply(declare(vm("web", disks)));
    lab.pve.faults.push({ op: "configure", how: "lost-before" });
    const less = declare(vm("web", "power: running, disks: { scsi0: { storage: data, size: 4Gi } }"));
    expect((await lab.apply(less)).text).to.contain("vm/web failed update [PVE_NO_ANSWER]");
    expect(lab.pve.print()).to.contain("scsi1");
    expect((await lab.apply(less)).text).to.equal("vm/web done update");
    expect(lab.pve.print()).to.not.contain("scsi1");
  });

  it("a task that fails is told in PVE's words, with the rest not sent", async () => {
    const { lab, text, tasks } = await withFault({ op: "create", how: "task", text: "storage 'data' is full" });
    expect(text).to.equal("vm/web failed create [PVE_TASK_FAILED] storage 'data' is full");
    expect(tasks).to.equal("qmcreate 100 ERROR: storage 'data' is full\nqmstart 100 stopped: not sent");
    await expectRepaired(lab);
  });

  it("a refusal is told in PVE's words", async () => {
    const { text } = await withFault({ op: "start", how: "refused", text: "no options specified" });
    expect(text).to.equal("vm/web failed create [PVE_PARAMETER] no options specified");
  });

  it("PVE that can't be reached has taken nothing", async () => {
    const { lab, text, tasks } = await withFault({ op: "create", how: "unreachable" });
    expect(text).to.equal("vm/web failed create [PVE_UNREACHABLE] connection refused");
    expect(tasks).to.contain("qmcreate 100 ERROR: connection refused");
    await expectRepaired(lab);
  });

  it("locks are waited for, each try with a row of its own", async () => {
    const locked = { op: "create", how: "refused", times: 3, text: "VM is locked (backup)" } as const;
    const { lab, text, tasks } = await withFault(locked);
    expect(text).to.equal("vm/web done create");
    expect(tasks.split("\n").sort().join("\n")).to.equal(
      `${"qmcreate 100 ERROR: VM is locked (backup)\n".repeat(3)}qmcreate 100 OK\nqmstart 100 OK`,
    );
    expect(lab.pve.writes).to.deep.equal(["create 100", "start 100"]);
  });

  it("a lock that a task ran into is waited for as well", async () => {
    const text = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
    const { tasks } = await withFault({ op: "start", how: "task", times: 2, text });
    expect(tasks).to.equal(`qmcreate 100 OK\nqmstart 100 ERROR: ${text}\nqmstart 100 ERROR: ${text}\nqmstart 100 OK`);
  });

  it("patience with locks ends", async () => {
    const fault = { op: "create", how: "refused", times: 1000, text: "VM is locked (backup)" } as const;
    const { text, tasks } = await withFault(fault);
    expect(text).to.equal("vm/web failed create [PVE_LOCKED] VM is locked (backup)");
    expect(tasks.split("\n").filter((line) => line.includes("locked")).length).to.be.within(4, 15);
  });

  it("a guest edited between look and write: written again with the new digest, the edit kept", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("web")));
    lab.pve.faults.push({ op: "configure", how: "before", then: () => lab.pve.edit(100, { description: "by hand" }) });
    expect((await lab.apply(declare(vm("web", "power: running, onBoot: true")))).text).to.equal("vm/web done update");
    expect(lab.pve.print()).to.equal("100 vm web pve1 running description=by hand onboot=1");
    expect(await lab.tasks()).to.match(/configure 100 ERROR: checksum mismatch.*\nconfigure 100 OK$/);
  });

  it("the very field edited between look and write: stops instead of overwriting it", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("web", "power: running, memory: 1Gi")));
    lab.pve.faults.push({ op: "configure", how: "before", then: () => lab.pve.edit(100, { memory: "4096" }) });
    expect((await lab.apply(declare(vm("web", "power: running, memory: 2Gi, onBoot: true")))).text).to.equal(
      "vm/web failed update [APPLY_STALE] somebody else changed memory since the plan was made",
    );
    expect(lab.pve.print()).to.equal("100 vm web pve1 running memory=4096");
  });

  it("a guest that vanishes under the run is told, and made again by the next", async () => {
    const lab = new Lab();
    lab.pve.faults.push({ op: "start", how: "lost-before", then: () => lab.pve.guests.delete(100) });
    expect((await lab.apply(declare(vm("web")))).text).to.contain("vm/web failed create");
    await expectRepaired(lab);
  });

  it("a task that PVE forgot is closed, not waited for", async () => {
    const lab = new Lab();
    lab.pve.faults.push({
      op: "start",
      how: "before",
      then: () => void lab.clock.sleep(300).then(() => (lab.pve.tasks.length = 1)),
    });
    expect((await lab.apply(declare(vm("web")))).text).to.contain(
      "vm/web failed create [PVE_TASK_LOST] PVE no longer has the task, so that nobody can say how it ended",
    );
    expect(await lab.stores.tasks.unfinished()).to.deep.equal([]);
    await expectRepaired(lab);
  });

  it("another guest under the vmid stops the change before anything is sent, naming both", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("web")));
    const mine = (await lab.resource("vm/web"))?.identity ?? "";
    const swap = () => lab.pve.add({ kind: "VirtualMachine", vmid: 100, config: { name: "intruder" } });
    lab.pve.writes.length = 0;
    const { text } = await lab.apply(declare(vm("web", "power: running, onBoot: true")), {
      between: () => void swap(),
    });
    expect(text)
      .to.match(/^vm\/web failed update \[PLAN_BLOCKED\] .*"intruder".*/)
      .and.contain(mine);
    expect(lab.pve.writes).to.deep.equal([]);
    expect((await lab.remove(["vm/web"])).text)
      .to.contain("intruder")
      .and.contain(mine);
    expect(lab.pve.guests.has(100)).to.equal(true);
  });

  it("another guest between two steps stops the second, naming both", async () => {
    const lab = new Lab();
    const foreign = {
      kind: "VirtualMachine",
      vmid: 100,
      config: { name: "intruder", smbios1: "uuid=ffffffff-0000-4000-8000-000000000001" },
    } as const;
    lab.pve.faults.push({
      op: "start",
      how: "refused",
      text: "VM is locked (clone)",
      then: () => lab.pve.add(foreign),
    });
    const { text } = await lab.apply(declare(vm("web")));
    expect(text).to.match(
      /^vm\/web failed create \[APPLY_IDENTITY\] vmid 100 on pve1 belongs to another guest, "intruder" with identity ffffffff-0000-4000-8000-000000000001; ours has aaaaaaaa-/,
    );
    expect(lab.pve.guests.get(100)?.status).to.equal("stopped");
  });

  it("a silent node: nothing is taken for gone, nothing is made twice", async () => {
    const lab = new Lab();
    const both = declare(vm("web") + ct("db"));
    await lab.apply(both);
    lab.pve.silent.add("pve2");
    lab.pve.writes.length = 0;
    const { text } = await lab.apply(both, { policy: { prunes: () => true } });
    expect(text).to.match(/^ct\/db skipped blocked: .*no answer\nvm\/web done keep$/);
    expect((await lab.remove(["ct/db"])).text).to.match(/ct\/db skipped blocked/);
    expect(lab.pve.writes).to.deep.equal([]);
  });

  it("the three-way base survives a run that got half way", async () => {
    const lab = new Lab();
    await lab.apply(declare(vm("web", "power: running, onBoot: true, disks: { scsi0: { storage: data, size: 4Gi } }")));
    lab.pve.faults.push({ op: "configure", how: "refused", text: "disk trouble" });
    const half = "power: running, description: new, disks: { scsi0: { storage: data, size: 5Gi } }";
    await lab.apply(declare(vm("web", half)));
    // neither onBoot nor description is declared any more: both were perhaps set by us
    lab.pve.edit(100, { description: "new" });
    await lab.apply(declare(vm("web", "power: running, disks: { scsi0: { storage: data, size: 5Gi } }")));
    expect(lab.pve.print()).to.equal("100 vm web pve1 running scsi0=data:vm-100-scsi0,size=5G");
  });

  it("every request stands in the tasks table as running before it is sent", async () => {
    const lab = new Lab();
    const seen: string[] = [];
    lab.pve.onWrite = (step) => {
      const row = lab.fake.rows.find(
        (one) => one.status === "running" && one.upid === undefined && one.resourceId === String(step.target.vmid),
      );
      seen.push(`${step.op} ${row?.status} ${row?.request?.method} ${row?.request?.path}`);
    };
    await lab.apply(declare(vm("web")));
    expect(seen).to.deep.equal([
      "create running POST /nodes/pve1/qemu",
      "start running POST /nodes/pve1/qemu/100/status/start",
    ]);
    expect(lab.fake.rows.map((row) => row.upid)).to.deep.equal(lab.pve.tasks.map((task) => task.upid));
  });
});
