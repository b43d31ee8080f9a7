import { expect } from "chai";
import { createSimulator, ManualClock, type ClusterRecord } from "../../../src/simulator/index.js";
import { play } from "../../support/transcript.js";

const GIB = 2 ** 30;

/** Three nodes, one of them silent; a VM with a linked clone's disk and something pending, and a container. */
const SEEN: ClusterRecord = {
  nodes: [
    { name: "a", online: false },
    { name: "c", online: true },
    { name: "b", online: true, cpus: 16, memory: 64 * GIB, uptime: 1000 },
  ],
  storages: [
    {
      id: "fast",
      type: "zfspool",
      content: ["images", "rootdir"],
      enabled: true,
      shared: false,
      nodes: [{ node: "b", total: 100 * GIB, used: 60 * GIB }],
    },
    { id: "old", type: "nfs", content: ["iso"], enabled: false, shared: true, nodes: [{ node: "a" }, { node: "b" }] },
  ],
  guests: [
    {
      vmid: 100,
      kind: "qemu",
      node: "b",
      status: "running",
      template: false,
      pool: "web",
      haState: "started",
      config: {
        name: "shop",
        cores: "2",
        memory: "2048",
        scsi0: "fast:base-900-disk-0/vm-100-disk-0,size=20G",
        net0: "virtio=BC:24:11:00:00:01,bridge=vmbr7",
        tags: "prod",
      },
      pending: { cores: "4", tags: null },
    },
    {
      vmid: 900,
      kind: "qemu",
      node: "b",
      status: "stopped",
      template: true,
      config: { name: "base", scsi0: "fast:base-900-disk-0,size=20G" },
    },
    { vmid: 200, kind: "lxc", node: "a", status: "stopped", template: false, name: "dns", cpus: 1, memory: 2 ** 29 },
  ],
};

/** What is asked of the copy, with what it answers. */
const EXPECTED = `# the guests, also those of the silent node
> GET /nodes/b/qemu/100/pending
- {"key":"name","value":"shop"}
- {"key":"cores","value":2,"pending":4}
- {"key":"memory","value":"2048"}
- {"key":"scsi0","value":"fast:base-900-disk-0/vm-100-disk-0,size=20G"}
- {"key":"net0","value":"virtio=BC:24:11:00:00:01,bridge=vmbr7"}
- {"key":"tags","value":"prod","delete":1}
- {"key":"digest","value":"DIGEST"}
> GET /nodes/a/lxc/200/config
595 No route to host
> GET /cluster/ha/resources/vm:100
{"sid":"vm:100","type":"vm","state":"started","digest":"DIGEST"}

# bridges that guests name, volumes that configurations name, and what the storage said is taken
> GET /nodes/b/network/vmbr7
{"type":"bridge","active":1,"autostart":1,"bridge_fd":"0","bridge_ports":"","bridge_stp":"off","families":["inet"],"method6":"manual","priority":4,"method":"manual"}
> GET /nodes/b/storage/fast/content vmid=100
- {"volid":"fast:base-900-disk-0/vm-100-disk-0","content":"images","format":"raw","size":21474836480,"ctime":1767139200,"used":21474836480,"parent":"base-900-disk-0","vmid":100}
> GET /nodes/b/storage/fast/status
{"type":"zfspool","content":"images,rootdir","shared":0,"enabled":1,"active":1,"total":107374182400,"used":64424509440,"avail":42949672960}
> GET /nodes/b/storage/old/status
{"type":"nfs","content":"iso","shared":1,"enabled":0,"active":0,"total":0,"used":0,"avail":0}
> POST /nodes/b/qemu/900/clone newid=300 full=1
task qmclone 900: OK
> POST /nodes/b/qemu/900/clone newid=301 full=1
task qmclone 900: OK
> POST /nodes/b/qemu/900/clone newid=302 full=1
task qmclone 900: clone failed: zfs error: cannot create 'fast/vm-302-disk-0': out of space
> DELETE /nodes/b/qemu/900
task qmdestroy 900: base volume 'fast:base-900-disk-0' is still in use by linked cloned
`;

describe("simulator: a copy of a cluster that was seen", () => {
  it("answers for what was seen, and believable things for the rest", async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1));
    const simulator = await createSimulator({ from: SEEN, clock });
    try {
      expect(await play(EXPECTED, simulator, clock)).to.equal(EXPECTED);
    } finally {
      await simulator.stop();
    }
  });
});
