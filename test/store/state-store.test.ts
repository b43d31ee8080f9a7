import { expect } from "chai";
import type { SnapshotRecord } from "../../src/history/types.js";
import type { ObservedStorage } from "../../src/observed/types.js";
import type { Store } from "../../src/store/index.js";
import { describeStore, NOW } from "../support/database.js";
import { guest, observedState, summary } from "../support/observed.js";

/** Snapshots, oldest first, as `vm/100 updated config.memory status`. */
async function history(store: Store): Promise<string[]> {
  const rows = await store.state.snapshots();
  return [...rows].reverse().map(line);
}

function line(row: SnapshotRecord): string {
  return [`${row.resourceType}/${row.resourceId}`, row.changeType, ...row.changedPaths].join(" ");
}

const shared: ObservedStorage = {
  id: "nfs",
  type: "nfs",
  content: ["iso", "images"],
  enabled: true,
  shared: true,
  path: "/mnt/pve/nfs",
  nodes: [
    { node: "pve2", active: true, total: 1000, used: 400, available: 600 },
    { node: "pve1", active: true, total: 1000, used: 401, available: 599 },
  ],
};

describeStore("StateStore", (database) => {
  it("keeps every field of an observed cluster", async () => {
    const { state } = await (await database()).open();
    await state.sync(
      observedState({
        takenAt: NOW,
        nodes: [
          {
            name: "pve1",
            status: "online",
            cpus: 8,
            cpuUsage: 0.125,
            memory: 34_359_738_368,
            memoryUsed: 1_073_741_824,
            uptime: 86_400,
            pveVersion: "9.2.1",
          },
          { name: "pve2", status: "offline" },
        ],
        storages: [{ ...shared, id: "local", shared: false }, shared],
        guests: [
          guest(
            100,
            { name: "web", memory: "2048" },
            {
              name: "web",
              cpus: 2,
              cpuUsage: 0.5,
              memory: 2_147_483_648,
              memoryUsed: 1_000_000_000,
              disk: 34_359_738_368,
              diskUsed: 0,
              networkIn: 5_000_000_000,
              networkOut: 6_000_000_000,
              uptime: 60,
              pid: 4242,
              haState: "started",
              lock: "backup",
              pool: "prod",
              tags: ["a", "b"],
              identities: ["2f1c6c53-6a3e-4d1e-9a5e-0a4c2f6f9c01"],
              pending: { cores: "4", onboot: null },
              digest: "d1",
            },
          ),
          guest(
            200,
            { hostname: "db" },
            { kind: "Container", name: "db", status: "paused", swap: 536_870_912, swapUsed: 7 },
          ),
        ],
      }),
    );
    expect(await state.nodes()).deep.equal([
      {
        id: "pve1",
        status: "online",
        type: "node",
        cpuUsage: 0.125,
        cpuMax: 8,
        memoryUsage: 1_073_741_824n,
        memoryMax: 34_359_738_368n,
        uptime: 86_400,
        pveVersion: "9.2.1",
        lastSeen: NOW,
      },
      { id: "pve2", status: "offline", type: "node" },
    ]);
    expect(await state.vms()).deep.equal([
      {
        id: 100,
        nodeId: "pve1",
        name: "web",
        status: "running",
        template: false,
        cpuCores: 2,
        cpuUsage: 0.5,
        memoryBytes: 2_147_483_648n,
        memoryUsage: 1_000_000_000n,
        diskSize: 34_359_738_368n,
        diskUsage: 0n,
        networkIn: 5_000_000_000n,
        networkOut: 6_000_000_000n,
        uptime: 60,
        haManaged: true,
        lockStatus: "backup",
        configDigest: "d1",
        lastSeen: NOW,
        config: { name: "web", memory: "2048" },
        pending: { cores: "4", onboot: null },
        tags: ["a", "b"],
        pool: "prod",
        pid: 4242,
        uuid: "2f1c6c53-6a3e-4d1e-9a5e-0a4c2f6f9c01",
      },
    ]);
    const [container] = await state.containers();
    expect(container).deep.include({ id: 200, hostname: "db", name: "db", status: "suspended", swapUsage: 7n });
    expect(await state.storages()).deep.equal([
      {
        id: "local",
        type: "nfs",
        contentTypes: ["images", "iso"],
        enabled: true,
        shared: false,
        totalBytes: 2000n,
        usedBytes: 801n,
        availableBytes: 1199n,
        path: "/mnt/pve/nfs",
        nodes: ["pve1", "pve2"],
        lastSeen: NOW,
      },
      {
        id: "nfs",
        type: "nfs",
        contentTypes: ["images", "iso"],
        enabled: true,
        shared: true,
        totalBytes: 1000n,
        usedBytes: 401n,
        availableBytes: 600n,
        path: "/mnt/pve/nfs",
        nodes: ["pve1", "pve2"],
        lastSeen: NOW,
      },
    ]);
  });

  it("snapshots what changed, and counters only with it", async () => {
    const store = await (await database()).open();
    const look = (at: number, ...guests: Parameters<typeof guest>[]) =>
      store.state.sync(observedState({ takenAt: NOW + at, guests: guests.map((args) => guest(...args)) }));

    expect(await look(0, [100, { memory: "2048" }])).deep.equal({ created: 2, updated: 0, deleted: 0, unchanged: 0 });
    expect(await look(1, [100, { memory: "2048" }])).deep.equal({ created: 0, updated: 0, deleted: 0, unchanged: 2 });
    await look(2, [100, { memory: "2048" }, { uptime: 5, cpuUsage: 0.75 }]);
    await look(3, [100, { memory: "4096", onboot: "1" }, { status: "stopped", tags: ["x"] }], [101, { memory: "512" }]);
    expect(await look(4, [101, { memory: "512" }])).deep.equal({ created: 0, updated: 0, deleted: 1, unchanged: 2 });

    expect(await history(store)).deep.equal([
      "node/pve1 discovered",
      "vm/100 discovered",
      "vm/100 updated config.memory config.onboot configDigest status tags",
      "vm/101 created",
      "vm/100 deleted",
    ]);
    expect((await store.state.vms()).map((vm) => [vm.id, vm.lastSeen])).deep.equal([[101, NOW + 4]]);
    const [deleted] = await store.state.snapshots({ type: "vm", id: "100", limit: 1 });
    expect(deleted).deep.include({ snapshotTime: NOW + 4, changeType: "deleted" });
    expect(deleted?.resourceData).deep.include({ config: { memory: "4096", onboot: "1" }, status: "stopped" });
  });

  it("stores counters of a guest that is otherwise unchanged", async () => {
    const { state } = await (await database()).open();
    await state.sync(observedState({ takenAt: NOW, guests: [guest(100, {}, { uptime: 1 })] }));
    await state.sync(observedState({ takenAt: NOW + 1, guests: [guest(100, {}, { uptime: 2 })] }));
    expect((await state.vms())[0]).deep.include({ uptime: 2, lastSeen: NOW + 1 });
  });

  it("keeps the configuration where only the list was read", async () => {
    const store = await (await database()).open();
    await store.state.sync(observedState({ takenAt: NOW, guests: [guest(100, { memory: "2048" }, { pid: 7 })] }));
    await store.state.sync(observedState({ takenAt: NOW + 1, summaries: [summary(100, { status: "stopped" })] }));
    expect((await store.state.vms())[0]).deep.include({ config: { memory: "2048" }, status: "stopped" });
    expect((await store.state.vms())[0]).not.to.have.property("pid");
    expect(await history(store)).deep.equal(["node/pve1 discovered", "vm/100 discovered", "vm/100 updated status"]);
  });

  it("takes silence for silence: rows stay where the look was incomplete", async () => {
    const store = await (await database()).open();
    await store.state.sync(
      observedState({
        takenAt: NOW,
        nodes: [
          { name: "pve1", status: "online" },
          { name: "pve2", status: "online" },
        ],
        storages: [shared],
        guests: [guest(100, {}), guest(101, {}, { node: "pve2" }), guest(102, {}, { node: "pve2" }), guest(103, {})],
      }),
    );
    const result = await store.state.sync(
      observedState({
        takenAt: NOW + 1,
        nodes: [
          { name: "pve1", status: "online" },
          { name: "pve2", status: "offline" },
        ],
        // 101 is listed without a status, 102 not at all, 103 was asked for and is not there.
        summaries: [summary(100), summary(101, { node: "pve2", status: "unknown" })],
        sights: new Map([[103, { at: "absent" }]]),
        complete: false,
      }),
    );
    expect(result).deep.equal({ created: 0, updated: 1, deleted: 1, unchanged: 2 });
    expect((await store.state.vms()).map((vm) => `${vm.id} ${vm.status} ${vm.lastSeen! - NOW}`)).deep.equal([
      "100 running 1",
      "101 running 0",
      "102 running 0",
    ]);
    expect((await store.state.storages()).map((row) => row.id)).deep.equal(["nfs"]);
    expect((await history(store)).slice(-2)).deep.equal(["node/pve2 updated status", "vm/103 deleted"]);
  });

  it("keeps a guest whose own read failed, though the list was complete", async () => {
    const { state } = await (await database()).open();
    await state.sync(observedState({ takenAt: NOW, guests: [guest(100, {})] }));
    const unreadable = { at: "unreadable", node: "pve1", reason: "timeout" } as const;
    await state.sync(observedState({ takenAt: NOW + 1, sights: new Map([[100, unreadable]]) }));
    expect(await state.vms()).to.have.length(1);
  });

  it("shows a guest whose status nobody knows yet as unknown", async () => {
    const { state } = await (await database()).open();
    await state.sync(observedState({ takenAt: NOW, summaries: [summary(100, { status: "unknown" })] }));
    expect((await state.vms())[0]).deep.include({ id: 100, status: "unknown" });
  });

  it("moves a vmid from one kind to the other", async () => {
    const store = await (await database()).open();
    await store.state.sync(observedState({ takenAt: NOW, guests: [guest(100, {})] }));
    const container = guest(100, {}, { kind: "Container" });
    await store.state.sync(observedState({ takenAt: NOW + 1, guests: [container], complete: false }));
    expect(await store.state.vms()).deep.equal([]);
    expect((await store.state.containers()).map((row) => row.id)).deep.equal([100]);
    expect((await history(store)).slice(-2)).deep.equal(["vm/100 deleted", "container/100 created"]);
  });

  it("makes rows for nodes that are only mentioned, and forgets nodes that left", async () => {
    const store = await (await database()).open();
    const nodes = async () => (await store.state.nodes()).map((node) => `${node.id} ${node.status}`);
    await store.state.sync(
      observedState({ takenAt: NOW, guests: [guest(100, {}, { node: "pve9" })], storages: [shared] }),
    );
    expect(await nodes()).deep.equal(["pve1 online", "pve2 unknown", "pve9 unknown"]);

    const two = [
      { name: "pve1", status: "online" },
      { name: "pve9", status: "online", cpus: 4 },
    ] as const;
    await store.state.sync(observedState({ takenAt: NOW + 1, nodes: two, guests: [guest(100, {}, { node: "pve9" })] }));
    await store.state.sync(observedState({ takenAt: NOW + 2, guests: [guest(100, {})] }));
    expect(await nodes()).deep.equal(["pve1 online", "pve2 unknown"]);
    await store.state.sync(observedState({ takenAt: NOW + 3, nodes: two, guests: [guest(100, {})] }));
    expect(await nodes()).deep.equal(["pve1 online", "pve2 unknown", "pve9 online"]);
    expect((await history(store)).filter((entry) => entry.startsWith("node/pve9"))).deep.equal([
      "node/pve9 created",
      "node/pve9 deleted",
      "node/pve9 created",
    ]);
  });

  it("follows a storage: content, nodes and its end", async () => {
    const store = await (await database()).open();
    const look = (at: number, ...storages: ObservedStorage[]) =>
      store.state.sync(observedState({ takenAt: NOW + at, storages }));
    await look(0, shared);
    await look(1, { ...shared, nodes: shared.nodes.map((node) => ({ ...node, used: node.used + 1 })) });
    await look(2, { ...shared, enabled: false, nodes: [{ ...shared.nodes[0]!, active: false }] });
    expect((await store.state.storages())[0]).deep.include({ nodes: ["pve2"], enabled: false });
    expect((await store.state.storages())[0]).not.to.have.property("totalBytes");
    await look(3);
    expect(await store.state.storages()).deep.equal([]);
    expect((await history(store)).slice(1)).deep.equal([
      "storage/nfs discovered",
      "storage/nfs updated enabled nodes",
      "storage/nfs deleted",
    ]);
  });

  it("names the task and the user behind a change", async () => {
    const store = await (await database()).open();
    await store.state.sync(observedState({ takenAt: NOW, guests: [guest(100, {}), guest(101, {})] }));
    const task = { node: "pve1", type: "qmstop", user: "ops@pve", startTime: NOW + 10, endTime: NOW + 20, exit: "OK" };
    await store.tasks.observe([{ ...task, upid: "UPID:1", id: "100" }]);
    const stopped = [guest(100, {}, { status: "stopped" }), guest(101, {}, { status: "stopped" })];
    await store.state.sync(observedState({ takenAt: NOW + 60, guests: stopped }));
    const [mine] = await store.state.snapshots({ type: "vm", id: "100", limit: 1 });
    const [other] = await store.state.snapshots({ type: "vm", id: "101", limit: 1 });
    expect(mine).deep.include({ taskId: 1, user: "ops@pve" });
    expect(other).not.to.have.any.keys("taskId", "user");
  });

  it("keeps 64-bit figures exactly, in rows and in snapshots", async () => {
    const { state } = await (await database()).open();
    // The largest double below 2^63, and one that is odd.
    const figures = { memory: 2 ** 63 - 1024, networkIn: 2 ** 53 - 1 };
    await state.sync(observedState({ takenAt: NOW, guests: [guest(100, {}, figures)] }));
    expect((await state.vms())[0]).deep.include({
      memoryBytes: 9_223_372_036_854_774_784n,
      networkIn: 9_007_199_254_740_991n,
    });
    const [snapshot] = await state.snapshots({ type: "vm" });
    expect(snapshot?.resourceData).deep.include({
      memoryBytes: "9223372036854774784",
      networkIn: "9007199254740991",
    });
    expect(snapshot?.id).equal(2n);
  });

  it("writes nothing of a look whose transaction fails", async () => {
    const { state } = await (await database()).open();
    const broken = guest(100, {}, { tags: [1n as unknown as string] });
    const error = await state.sync(observedState({ takenAt: NOW, guests: [broken] })).catch((e: unknown) => e);
    expect(error).instanceOf(TypeError);
    expect(await state.nodes()).deep.equal([]);
  });

  it("takes more guests than a statement has variables for", async () => {
    const { state } = await (await database()).open();
    const guests = Array.from({ length: 2500 }, (_, index) => guest(100 + index, { name: `g${index}` }));
    expect(await state.sync(observedState({ takenAt: NOW, guests }))).deep.include({ created: 2501 });
    expect(await state.sync(observedState({ takenAt: NOW + 1 }))).deep.include({ deleted: 2500 });
    expect(await state.vms()).deep.equal([]);
  });
});
