import { expect } from "chai";
import { createSimulator, ManualClock, type Actor, type Simulator } from "../../../src/simulator/index.js";

describe("simulator: tasks", () => {
  let clock: ManualClock;
  let simulator: Simulator;
  let root: Actor;
  beforeEach(async () => {
    clock = new ManualClock(Date.UTC(2026, 0, 1));
    simulator = await createSimulator({ profile: "demo", clock, taskDuration: () => 2000 });
    root = simulator.as();
  });
  afterEach(() => simulator.stop());

  const create = (vmid: number, more: Record<string, string> = {}): Promise<unknown> =>
    root.call("POST", "/nodes/pve1/qemu", { vmid, ...more });
  const task = async (upid: unknown): Promise<string> => {
    const { status, exitstatus } = (await root.call(
      "GET",
      `/nodes/pve1/tasks/${encodeURIComponent(String(upid))}/status`,
    )) as { status: string; exitstatus?: string };
    return exitstatus === undefined ? status : `${status}: ${exitstatus}`;
  };
  const log = async (upid: unknown): Promise<string[]> => {
    const lines = (await root.call("GET", `/nodes/pve1/tasks/${encodeURIComponent(String(upid))}/log`)) as {
      n: number;
      t: string;
    }[];
    return lines.map(({ n, t }) => `${n} ${t}`);
  };

  it("run for their time and then end", async () => {
    const upid = await create(300);
    expect(String(upid)).to.match(/^UPID:pve1:[0-9A-F]{8}:[0-9A-F]{8}:6955B900:qmcreate:300:root@pam:$/);
    expect(await task(upid)).to.equal("running");
    clock.advance(1999);
    expect(await task(upid)).to.equal("running");
    clock.advance(1);
    expect(await task(upid)).to.equal("stopped: OK");
    expect(await log(upid)).to.deep.equal(["1 TASK OK"]);
  });

  it("tell of new disks", async () => {
    const upid = await create(301, { scsi0: "local-lvm:4" });
    clock.advance(2000);
    expect((await log(upid)).join("\n")).to.contain(
      "scsi0: successfully created disk 'local-lvm:vm-301-disk-0,size=4G'",
    );
  });

  it("of one guest follow one another", async () => {
    await create(302);
    clock.advance(2000);
    const start = await root.call("POST", "/nodes/pve1/qemu/302/status/start");
    const stop = await root.call("POST", "/nodes/pve1/qemu/302/status/stop");
    expect([await task(start), await task(stop)]).to.deep.equal(["running", "running"]);
    clock.advance(2000);
    expect([await task(start), await task(stop)]).to.deep.equal(["stopped: OK", "running"]);
    clock.advance(2000);
    expect(await task(stop)).to.equal("stopped: OK");
    expect(await log(stop)).to.deep.equal(["1 trying to acquire lock...", "2  OK", "3 TASK OK"]);
  });

  it("fail with PVE's words", async () => {
    const upid = await root.call("POST", "/nodes/pve1/qemu/100/status/start");
    clock.advance(5000);
    expect(await task(upid)).to.equal("stopped: VM 100 already running");
    expect(await log(upid)).to.deep.equal(["1 TASK ERROR: VM 100 already running"]);
  });

  it("can be stopped, and the work is undone", async () => {
    const upid = await root.call("POST", "/nodes/pve1/qemu/9000/clone", { newid: 303, full: true, name: "copy" });
    clock.advance(500);
    await root.call("DELETE", `/nodes/pve1/tasks/${encodeURIComponent(String(upid))}`);
    expect(await task(upid)).to.match(/^stopped: .*interrupt/);
    const guests = (await root.call("GET", "/nodes/pve1/qemu")) as { vmid: number }[];
    expect(guests.map(({ vmid }) => vmid)).to.not.include(303);
    const volumes = (await root.call("GET", "/nodes/pve1/storage/local-lvm/content")) as { volid: string }[];
    expect(volumes.map(({ volid }) => volid).filter((volid) => volid.includes("303"))).to.deep.equal([]);
  });

  it("are listed, running ones apart", async () => {
    const upid = await create(304);
    const list = async (source: string): Promise<string[]> =>
      ((await root.call("GET", "/nodes/pve1/tasks", { source })) as { upid: string }[]).map((one) => one.upid);
    expect([await list("active"), await list("archive")]).to.deep.equal([[upid], []]);
    clock.advance(2000);
    expect([await list("active"), await list("archive")]).to.deep.equal([[], [upid]]);
  });
});
