import { expect } from "chai";

import { ProxmoorError } from "../../../src/model/errors.js";
import { PveReader } from "../../../src/pve/reader.js";
import { FakeClient, offline } from "./fake-client.js";

const refused = new ProxmoorError("PVE_PERMISSION", "Permission check failed (/, Sys.Audit)");

/** Three nodes: pve1 answers, pve2 is offline, pve3 is said to be online and does not answer. */
const cluster: Record<string, unknown> = {
  "/nodes": [
    { node: "pve1", status: "online", maxcpu: 8, cpu: 0.5, maxmem: 1000, mem: 500, uptime: 10 },
    { node: "pve2", status: "offline" },
    { node: "pve3", status: "online" },
  ],
  "/nodes/pve1/version": { version: "9.2.11" },
  "/nodes/pve1/qemu": [
    { vmid: 100, name: "web", status: "running", cpus: 2, maxmem: 1024, tags: "B;a", uptime: 5, pid: 7 },
    { vmid: 102, name: "tpl", status: "stopped", template: 1, lock: "backup" },
    { vmid: 105, name: "moved", status: "running" },
  ],
  "/nodes/pve1/lxc": [{ vmid: 200, name: "ct", status: "stopped", maxswap: 64, type: "lxc" }],
  "/nodes/pve1/storage": [{ storage: "data", type: "dir", active: 1, enabled: 1, total: 100, used: 20, avail: 70 }],
  "/nodes/pve3/qemu": offline("pve3"),
  "/nodes/pve3/lxc": offline("pve3"),
  "/nodes/pve3/storage": offline("pve3"),
  "/nodes/pve3/version": offline("pve3"),
  "/storage": [
    { storage: "data", type: "dir", content: "rootdir,images", path: "/srv/data" },
    { storage: "spare", type: "dir", content: "images", disable: 1, path: "/srv/spare" },
  ],
  "/cluster/resources": [
    { type: "qemu", vmid: 100, node: "pve1", status: "unknown", pool: "prod", hastate: "started" },
    { type: "qemu", vmid: 101, node: "pve2", status: "unknown" },
    { type: "lxc", vmid: 201, node: "pve3", status: "running", name: "lost" },
    { type: "qemu", vmid: 103, node: "pve1", status: "unknown" },
    {
      type: "storage",
      storage: "data",
      node: "pve1",
      status: "available",
      shared: 0,
      plugintype: "dir",
      content: "images",
      disk: 20,
      maxdisk: 100,
    },
    {
      type: "storage",
      storage: "data",
      node: "pve3",
      status: "unknown",
      shared: 0,
      plugintype: "dir",
      content: "images",
    },
    { type: "node", node: "pve1" },
    { type: "pool", pool: "prod" },
  ],
};

describe("the look at the cluster", () => {
  it("gives live lists, completed by the cluster's; silent nodes with the reason", async () => {
    const { nodes, guests, silent } = await new PveReader(new FakeClient(cluster)).overview();
    expect(nodes).to.deep.equal([
      {
        name: "pve1",
        status: "online",
        cpus: 8,
        cpuUsage: 0.5,
        memory: 1000,
        memoryUsed: 500,
        uptime: 10,
        pveVersion: "9.2.11",
      },
      { name: "pve2", status: "offline" },
      { name: "pve3", status: "online" },
    ]);
    expect([...silent]).to.deep.equal([
      ["pve2", "the cluster reports it offline"],
      ["pve3", "595 No route to host"],
    ]);
    const line = guests.map(
      (guest) => `${guest.kind} ${guest.vmid} ${guest.node} ${guest.name ?? "-"} ${guest.status}`,
    );
    expect(line).to.deep.equal([
      "VirtualMachine 100 pve1 web running",
      "VirtualMachine 101 pve2 - unknown",
      "VirtualMachine 102 pve1 tpl stopped",
      "VirtualMachine 103 pve1 - unknown",
      "VirtualMachine 105 pve1 moved running",
      "Container 200 pve1 ct stopped",
      "Container 201 pve3 lost running",
    ]);
    expect(guests[0]).to.deep.include({
      pool: "prod",
      haState: "started",
      tags: ["a", "b"],
      cpus: 2,
      memory: 1024,
      pid: 7,
    });
    expect(guests[2]).to.deep.include({ template: true, lock: "backup" });
  });

  it("asks each node once, the cluster once, and a silent node no more", async () => {
    const client = new FakeClient(cluster);
    await new PveReader(client).overview();
    expect(client.calls.filter((call) => call.includes("/cluster/resources")).length).to.equal(1);
    expect(client.calls.filter((call) => call.includes("pve2"))).to.deep.equal([]);
    expect(client.calls.filter((call) => call.includes("pve3"))).to.deep.equal(["GET /nodes/pve3/qemu"]);
    expect(new Set(client.calls).size).to.equal(client.calls.length);
  });

  it("gives storages with what is really available, disabled ones too", async () => {
    const { storages } = await new PveReader(new FakeClient(cluster)).overview();
    expect(storages).to.deep.equal([
      {
        id: "data",
        type: "dir",
        content: ["images", "rootdir"],
        enabled: true,
        shared: false,
        path: "/srv/data",
        nodes: [
          { node: "pve1", active: true, total: 100, used: 20, available: 70 },
          { node: "pve3", active: false, total: 0, used: 0, available: 0 },
        ],
      },
      { id: "spare", type: "dir", content: ["images"], enabled: false, shared: false, path: "/srv/spare", nodes: [] },
    ]);
  });

  it("does without what is not permitted", async () => {
    const client = new FakeClient({
      ...cluster,
      "/storage": refused,
      "/nodes/pve1/storage": refused,
      "/nodes/pve1/version": refused,
    });
    const { storages, nodes, silent } = await new PveReader(client).overview();
    expect(storages[0]?.nodes[0]).to.deep.equal({ node: "pve1", active: true, total: 100, used: 20, available: 80 });
    expect(nodes[0]?.pveVersion).to.equal(undefined);
    expect(silent.has("pve1")).to.equal(false);
  });

  it("fails as a whole where the log-in is refused or PVE is not there", async () => {
    const auth = new ProxmoorError("PVE_AUTH", "Authentication failed!");
    for (const answers of [
      { ...cluster, "/nodes": auth },
      { ...cluster, "/nodes/pve1/lxc": auth },
    ]) {
      const thrown: unknown = await new PveReader(new FakeClient(answers)).overview().catch((error: unknown) => error);
      expect(thrown).to.equal(auth);
    }
  });

  it("keeps a guest that moved during the look where the cluster has it", async () => {
    const answers = {
      ...cluster,
      "/nodes": [
        { node: "pve1", status: "online" },
        { node: "pve4", status: "online" },
      ],
      "/nodes/pve4/qemu": [{ vmid: 105, name: "moved", status: "running", uptime: 9 }],
      "/nodes/pve4/lxc": [],
      "/nodes/pve4/storage": [],
      "/nodes/pve4/version": { version: "9.2.11" },
      "/cluster/resources": [{ type: "qemu", vmid: 105, node: "pve1", status: "running" }],
    };
    const { guests } = await new PveReader(new FakeClient(answers)).overview();
    expect(guests.filter(({ vmid }) => vmid === 105).map(({ node }) => node)).to.deep.equal(["pve1"]);
  });

  it("goes on where rows lack their names, and never calls such a look complete", async () => {
    const whole = new PveReader(new FakeClient(cluster)).overview();
    const rows = (path: keyof typeof cluster) => cluster[path] as readonly object[];
    const odd = {
      ...cluster,
      "/nodes": [...rows("/nodes"), { status: "online" }],
      "/cluster/resources": [...rows("/cluster/resources"), { type: "qemu", node: "pve1" }],
    };
    const { guests, nodes, silent } = await new PveReader(new FakeClient(odd)).overview();
    expect({ guests, nodes }).to.deep.equal({ guests: (await whole).guests, nodes: (await whole).nodes });
    expect(silent.get("(without a name)")).to.match(/has no vmid or no node|has no name/);
  });

  it("tells an answer of another form", async () => {
    const thrown: unknown = await new PveReader(new FakeClient({ "/nodes": { no: "list" } }))
      .overview()
      .catch((e: unknown) => e);
    expect((thrown as Error).message).to.equal("PVE's answer to /nodes is not a list");
  });
});

describe("one guest", () => {
  const at = { kind: "Container", vmid: 200, node: "pve1" } as const;

  it("has its configuration read with one request", async () => {
    const client = new FakeClient({
      "/nodes/pve1/lxc/200/pending": [
        { key: "memory", value: 512 },
        { key: "features", pending: "nesting=1" },
        { key: "tags", value: "a", delete: 1 },
        { key: "digest", value: "abc" },
      ],
    });
    expect(await new PveReader(client).guestConfig(at)).to.deep.equal({
      config: { memory: "512", features: "nesting=1" },
      pending: { features: "nesting=1", tags: null },
      current: { tags: "a" },
      digest: "abc",
    });
    expect(client.calls).to.deep.equal(["GET /nodes/pve1/lxc/200/pending"]);
  });

  it("has its live status read", async () => {
    const statuses = [
      { status: "running", qmpstatus: "running" },
      { status: "running", qmpstatus: "paused" },
      { status: "stopped" },
      {},
    ];
    const read = statuses.map((row) =>
      new PveReader(new FakeClient({ "/nodes/pve1/lxc/200/status/current": row })).guestStatus(at),
    );
    expect(await Promise.all(read)).to.deep.equal(["running", "paused", "stopped", "unknown"]);
  });
});
