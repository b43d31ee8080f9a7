import { expect } from "chai";
import { createSimulator, type Actor, type Simulator } from "../../../src/simulator/index.js";

/** VM 100 of the demo cluster runs; what a change to it does at once and what waits for a restart. */
describe("simulator: changes of a running VM", () => {
  let simulator: Simulator;
  let root: Actor;
  beforeEach(async () => {
    simulator = await createSimulator({ profile: "demo", taskDuration: () => 0 });
    root = simulator.as();
  });
  afterEach(() => simulator.stop());

  /** `key: now -> pending`, for the keys that differ or were named. */
  async function after(params: Record<string, string | number>, keys: readonly string[]): Promise<string[]> {
    await root.call("PUT", "/nodes/pve1/qemu/100/config", params);
    const rows = (await root.call("GET", "/nodes/pve1/qemu/100/pending")) as {
      key: string;
      value?: string | number;
      pending?: string | number;
      delete?: number;
    }[];
    return rows
      .filter((row) => keys.includes(row.key))
      .map((row) => `${row.key}: ${row.value ?? ""} -> ${row.delete ? "(deleted)" : (row.pending ?? "(nothing)")}`)
      .sort();
  }

  const cases: readonly (readonly [string, Record<string, string | number>, string, readonly string[]])[] = [
    ["a name is taken at once", { name: "renamed" }, "name", ["name: renamed -> (nothing)"]],
    ["a description is taken at once", { description: "hello" }, "description", ["description: hello -> (nothing)"]],
    ["cores wait", { cores: 3 }, "cores", ["cores: 2 -> 3"]],
    ["a CPU type waits", { cpu: "host" }, "cpu", ["cpu:  -> host"]],
    ["memory waits without memory hotplug", { memory: 8192 }, "memory", ["memory: 4096 -> 8192"]],
    [
      "a new net device is plugged",
      { net1: "virtio=BC:24:11:00:00:99,bridge=vmbr1" },
      "net1",
      ["net1: virtio=BC:24:11:00:00:99,bridge=vmbr1 -> (nothing)"],
    ],
    [
      "a new disk is plugged",
      { scsi5: "local-lvm:1" },
      "scsi5",
      ["scsi5: local-lvm:vm-100-disk-1,size=1G -> (nothing)"],
    ],
    ["start at boot is taken at once", { onboot: 1 }, "onboot", ["onboot: 1 -> (nothing)"]],
    ["a machine type waits", { machine: "q35" }, "machine", ["machine:  -> q35"]],
  ];
  for (const [name, params, key, rows] of cases)
    it(name, async () => {
      expect(await after(params, [key])).to.deep.equal(rows);
    });

  it("what waits is given back by revert, and taken at the next start", async () => {
    await root.call("PUT", "/nodes/pve1/qemu/100/config", { cores: 3, cpu: "host" });
    expect(await after({ revert: "cpu" }, ["cpu", "cores"])).to.deep.equal(["cores: 2 -> 3"]);
    await root.call("POST", "/nodes/pve1/qemu/100/status/stop");
    await root.call("POST", "/nodes/pve1/qemu/100/status/start");
    expect(await after({ name: "again" }, ["cores"])).to.deep.equal(["cores: 3 -> (nothing)"]);
  });

  it("a disk of the boot order can't be unplugged; the wish stays", async () => {
    const error: unknown = await after({ delete: "scsi0" }, []).catch((reason: unknown) => reason);
    expect(error).to.deep.include({
      status: 400,
      errors: { scsi0: "hotplug problem - can't unplug bootdisk 'scsi0'\n" },
    });
    expect(await after({ name: "same" }, ["scsi0"])).to.deep.equal([
      "scsi0: local-lvm:vm-100-disk-0,iothread=1,size=32G -> (deleted)",
    ]);
  });

  it("memory hotplug asks for NUMA at the start, and adds whole DIMMs", async () => {
    const start = async (): Promise<string> => {
      const upid = String(await root.call("POST", "/nodes/pve1/qemu/100/status/start"));
      const task = await root.call("GET", `/nodes/pve1/tasks/${encodeURIComponent(upid)}/status`);
      return (task as { exitstatus: string }).exitstatus;
    };
    await root.call("POST", "/nodes/pve1/qemu/100/status/stop");
    await root.call("PUT", "/nodes/pve1/qemu/100/config", { hotplug: "memory,network,disk", memory: 1024 });
    expect(await start()).to.equal("NUMA needs to be enabled for memory hotplug");
    await root.call("PUT", "/nodes/pve1/qemu/100/config", { numa: 1 });
    expect(await start()).to.equal("OK");
    expect(await after({ memory: 2100 }, ["memory"])).to.deep.equal(["memory: 2560 -> (nothing)"]);
  });

  it("a deletion that can't be done live waits", async () => {
    expect(await after({ delete: "cores" }, ["cores"])).to.deep.equal(["cores: 2 -> (deleted)"]);
  });
});
