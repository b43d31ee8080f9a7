import { expect } from "chai";
import type { Store } from "../../src/store/index.js";
import type { Rows } from "../../src/store/repositories/types.js";
import type { TaskRecord } from "../../src/apply/types.js";
import type { ContainerRecord, SnapshotRecord, StorageRecord, VmRecord } from "../../src/history/types.js";
import { describeStore, NOW } from "../support/database.js";

function vm(id: number, changes: Partial<VmRecord> = {}): VmRecord {
  return {
    id,
    nodeId: "pve1",
    name: `web-${id}`,
    status: "running",
    template: false,
    haManaged: false,
    tags: [],
    ...changes,
  };
}

const container = (id: number, changes: Partial<ContainerRecord> = {}): ContainerRecord => vm(id, changes);

const storage = (id: string, nodes: readonly string[] = []): StorageRecord => {
  return { id, type: "dir", contentTypes: ["iso"], enabled: true, shared: false, nodes };
};

function task(changes: Partial<TaskRecord> = {}): Omit<TaskRecord, "id"> {
  const { id: _id, ...rest } = { id: 0, ...changes };
  return { node: "pve1", type: "qmstart", status: "OK", resourceType: "vm", resourceId: "100", log: [], ...rest };
}

const snapshot = (changes: Partial<SnapshotRecord> = {}): Omit<SnapshotRecord, "id"> => {
  const { id: _id, ...rest } = { id: 0n, ...changes };
  const of = { resourceType: "vm", resourceId: "100", resourceData: {}, changeType: "updated" } as const;
  return { snapshotTime: NOW, changedPaths: [], ...of, ...rest };
};

const ids = (page: { readonly items: readonly { readonly id: unknown }[] }): string =>
  page.items.map((item) => String(item.id)).join(" ");

const code = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: unknown) => `${(error as { code: string }).code} ${(error as { subject?: string }).subject ?? ""}`,
  );

describeStore("Repositories", (database) => {
  async function open(): Promise<Store> {
    const store = await (await database()).open();
    await store.lists.nodes.upsert(["pve1", "pve2"].map((id) => ({ id, status: "online" })));
    return store;
  }

  it("create, read, update and delete", async () => {
    const { vms } = (await open()).lists;
    const made = await vms.create(vm(100, { memoryBytes: 2n ** 63n - 1n, config: { cores: "2" } }));
    expect(made).deep.equal({
      ...vm(100, { memoryBytes: 9223372036854775807n, config: { cores: "2" } }),
      createdAt: NOW,
      updatedAt: NOW,
    });
    expect(await vms.get(100)).deep.equal(made);
    const changed = await vms.update(100, { status: "stopped", config: undefined });
    expect(changed).deep.equal({
      ...vm(100, { status: "stopped", memoryBytes: made.memoryBytes ?? 0n }),
      createdAt: NOW,
      updatedAt: NOW + 1,
    });
    await vms.delete(100);
    expect(await vms.find(100)).equal(undefined);
  });

  it("say what is missing, taken or still needed", async () => {
    const { vms, nodes, tasks } = (await open()).lists;
    await vms.create(vm(100));
    expect(await code(vms.get(9))).equal("DB_NOT_FOUND VM 9");
    expect(await code(vms.delete(9))).equal("DB_NOT_FOUND VM 9");
    expect(await code(vms.update(9, { status: "stopped" }))).equal("DB_NOT_FOUND VM 9");
    expect(await code(vms.create(vm(100)))).equal("DB_DUPLICATE VM 100");
    expect(await code(vms.create(vm(101, { nodeId: "pve9" })))).equal("DB_FOREIGN_KEY VM 101");
    expect(await code(nodes.delete("pve1"))).equal("DB_FOREIGN_KEY node pve1");
    expect(await code(tasks.create(task({ node: "pve9" })))).match(/^DB_FOREIGN_KEY/);
  });

  it("let one of two writers through who saw the same row", async () => {
    const { vms } = (await open()).lists;
    const seen = await vms.create(vm(100));
    await vms.update(100, { name: "first" }, seen);
    expect(await code(vms.update(100, { name: "second" }, seen))).equal("DB_CONFLICT VM 100");
    expect((await vms.get(100)).name).equal("first");
    const rivals = await vms.get(100);
    const results = await Promise.all(["a", "b", "c"].map((name) => code(vms.update(100, { name }, rivals))));
    expect(results.filter((one) => one === "none")).length(1);
  });

  it("make a newer version of a row with every write, even within a millisecond", async () => {
    const { vms } = (await open()).lists;
    await vms.create(vm(100));
    await vms.upsert([vm(100, { name: "b" })]);
    await vms.upsert([vm(100, { name: "c" })]);
    expect(await vms.get(100)).deep.include({ createdAt: NOW, updatedAt: NOW + 2, name: "c" });
  });

  it("find by status, node, tag, label, name and time", async () => {
    const store = await open();
    const { vms } = store.lists;
    await vms.upsert([
      vm(100, { tags: ["prod", "web"], lastSeen: NOW }),
      vm(101, { status: "stopped", tags: ["web"], lastSeen: NOW + 1 }),
      vm(102, { nodeId: "pve2", name: "db_%[x]", tags: ["prod", "prod"] }),
      vm(103, { nodeId: "pve2", name: "Web-103" }),
    ]);
    const own = { node: "pve1", identity: "", phase: "ready", lastApplied: {}, source: "", prune: "keep" } as const;
    const rest = { ...own, generation: 1, observedGeneration: 1, conditions: [] };
    await store.resources.save({
      ...rest,
      ref: { kind: "VirtualMachine", name: "a" },
      vmid: 100,
      labels: { app: "web", tier: "1" },
    });
    await store.resources.save({
      ...rest,
      ref: { kind: "VirtualMachine", name: "b" },
      vmid: 101,
      labels: { app: "db" },
    });
    const found = {
      status: ids(await vms.page({ status: "running" })),
      node: ids(await vms.page({ node: "pve2" })),
      tag: ids(await vms.page({ tag: "prod" })),
      label: ids(await vms.page({ label: "app=web" })),
      labels: ids(await vms.page({ label: "app" })),
      name: ids(await vms.page({ name: "web-*" })),
      literal: ids(await vms.page({ name: "db_%[x?" })),
      exact: ids(await vms.page({ name: "web-100" })),
      time: ids(await vms.page({ since: NOW, until: NOW + 1 })),
      both: ids(await vms.page({ tag: "web", status: "stopped" })),
      none: ids(await vms.page({ tag: "nothing" })),
    };
    expect(found).deep.equal({
      status: "100 102 103",
      node: "102 103",
      tag: "100 102",
      label: "100",
      labels: "100 101",
      name: "100 101",
      literal: "102",
      exact: "100",
      time: "100",
      both: "101",
      none: "",
    });
    expect(await code(vms.page({ label: "=x" }))).match(/^USAGE/);
    await vms.update(100, { tags: ["web"] });
    expect(ids(await vms.page({ tag: "prod" }))).equal("102");
    await vms.delete(102);
    expect(await vms.count({ tag: "prod" })).equal(0);
  });

  it("find containers, storage, nodes, tasks and snapshots", async () => {
    const { containers, storage: storages, nodes, tasks, snapshots } = (await open()).lists;
    await containers.create(container(200, { tags: ["ct"] }));
    expect(ids(await containers.page({ tag: "ct", node: "pve1", name: "web-*" }))).equal("200");
    expect(await containers.count({ label: "app" })).equal(0);
    await storages.upsert([storage("local", ["pve1"]), storage("nfs")]);
    expect(ids(await storages.page({ name: "l*" }))).equal("local");
    expect(ids(await storages.page({ node: "pve1" }))).equal("");
    expect(ids(await nodes.page({ name: "*2", status: "online" }))).equal("pve2");
    await tasks.create(task({ startTime: NOW, run: "r1" }));
    const second = await tasks.create(task({ status: "ERROR", resourceId: "101" }));
    expect(second).deep.include({ id: 2, node: "pve1", log: [] });
    expect(ids(await tasks.page({ status: "ERROR", node: "pve1", resourceType: "vm", resourceId: "101" }))).equal("2");
    await snapshots.create(snapshot({ snapshotTime: 5, taskId: 2 }));
    const last = await snapshots.create(snapshot({ changeType: "deleted" }));
    expect(last.id).equal(2n);
    expect(ids(await snapshots.page({ status: "deleted", resourceType: "vm", resourceId: "100", since: 6 }))).equal(
      "2",
    );
  });

  it("count by group", async () => {
    const { vms, tasks, snapshots } = (await open()).lists;
    await vms.upsert([
      vm(100, { tags: ["a", "b"], pool: "p" }),
      vm(101, { tags: ["a"], nodeId: "pve2" }),
      vm(102, { status: "stopped" }),
    ]);
    await tasks.upsert([{ ...task(), id: 7 }]);
    await snapshots.create(snapshot());
    expect(await vms.count()).equal(3);
    expect([...(await vms.countBy("status"))]).deep.equal([
      ["running", 2],
      ["stopped", 1],
    ]);
    expect([...(await vms.countBy("node", { status: "running" }))]).deep.equal([
      ["pve1", 1],
      ["pve2", 1],
    ]);
    expect([...(await vms.countBy("pool"))]).deep.equal([
      ["", 2],
      ["p", 1],
    ]);
    expect([...(await vms.countBy("tag"))]).deep.equal([
      ["a", 2],
      ["b", 1],
    ]);
    expect([...(await tasks.countBy("type"))]).deep.equal([["qmstart", 1]]);
    expect([...(await snapshots.countBy("resourceType"))]).deep.equal([["vm", 1]]);
  });

  it("go on numbering after rows that came with numbers", async () => {
    const { tasks } = (await open()).lists;
    await tasks.upsert([{ ...task(), id: 7 }]);
    expect((await tasks.create(task())).id).equal(8);
  });

  it("load relations of many records with a statement each", async () => {
    const db = await database();
    const statements: string[] = [];
    const store = await db.open({
      settings: { logging: true },
      log: ({ message, facts }) => {
        if (message === "statement") statements.push(String(facts?.sql));
      },
    });
    const { nodes, vms, containers, storage: storages, tasks, snapshots } = store.lists;
    await nodes.upsert(["pve1", "pve2", "pve3"].map((id) => ({ id, status: "online" })));
    await vms.upsert(Array.from({ length: 50 }, (_, at) => vm(100 + at, { nodeId: at % 2 === 0 ? "pve1" : "pve2" })));
    await containers.create(container(900));
    await storages.create(storage("local", ["pve1", "pve2"]));
    await db.sql("INSERT INTO node_storage VALUES ('pve1', 'local', '1', NULL, NULL, NULL, 1, 1)");
    const made = await tasks.create(task({ resourceId: "101" }));
    await snapshots.create(snapshot({ resourceId: "101", taskId: made.id }));

    const all = (await vms.page({}, { limit: 1000 })).items;
    statements.length = 0;
    const homes = await vms.related("node", all);
    expect(statements.filter((sql) => sql.startsWith("SELECT"))).length(1);
    expect([homes.size, homes.get("100")?.[0]?.id, homes.get("101")?.[0]?.id]).deep.equal([50, "pve1", "pve2"]);
    expect((await vms.related("tasks", all)).get("101")?.map((one) => one.id)).deep.equal([1]);
    expect((await vms.related("snapshots", all)).get("101")?.map((one) => one.taskId)).deep.equal([1]);

    const three = (await nodes.page()).items;
    const counts = await Promise.all(
      (["vms", "containers", "storage", "tasks"] as const).map(async (relation) => {
        const found = await nodes.related(relation, three);
        return `${relation} ${["pve1", "pve2", "pve3"].map((id) => found.get(id)?.length ?? 0).join(" ")}`;
      }),
    );
    expect(counts).deep.equal(["vms 25 25 0", "containers 1 0 0", "storage 1 0 0", "tasks 1 0 0"]);
    const places = await storages.related("nodes", (await storages.page()).items);
    expect(places.get("local")?.map((node) => node.id)).deep.equal(["pve1", "pve2"]);
    const [one] = (await snapshots.page()).items;
    expect((await snapshots.related("task", one === undefined ? [] : [one])).get("1")?.[0]?.id).equal(1);
    expect((await tasks.related("snapshots", [made])).get("1")).length(1);
    expect((await tasks.related("node", [])).size).equal(0);
  });

  it("page by a cursor that stays right while rows come and go", async () => {
    const { vms } = (await open()).lists;
    await vms.upsert(Array.from({ length: 10 }, (_, at) => vm(100 + at * 10)));
    const first = await vms.page({}, { limit: 4 });
    await vms.delete(100);
    await vms.delete(150);
    await vms.upsert([vm(95), vm(135)]);
    const second = await vms.page({}, { limit: 4, after: first.next });
    const third = await vms.page({}, { limit: 4, after: second.next });
    expect([ids(first), ids(second), ids(third), third.next]).deep.equal([
      "100 110 120 130",
      "135 140 160 170",
      "180 190",
      undefined,
    ]);
    const back = await vms.page({}, { limit: 3, order: "desc" });
    expect([ids(back), ids(await vms.page({}, { limit: 3, order: "desc", after: back.next }))]).deep.equal([
      "190 180 170",
      "160 140 135",
    ]);
    expect(await code(vms.page({}, { after: back.next }))).match(/^USAGE/);
    expect(await code(vms.page({}, { after: "rubbish" }))).match(/^USAGE/);
  });

  it("page texts by code points on both databases", async () => {
    const { nodes } = (await open()).lists;
    await nodes.upsert(["a", "B", "ä", "b", "A-1", "a_1"].map((id) => ({ id, status: "offline" })));
    const pages = [];
    let after: string | undefined;
    do {
      const page = await nodes.page({ status: "offline" }, { limit: 2, after });
      pages.push(ids(page));
      after = page.next;
    } while (after !== undefined);
    expect(pages).deep.equal(["A-1 B", "a a_1", "b ä"]);
  });

  it("stream more rows than a page holds, once each", async () => {
    const { vms } = (await open()).lists;
    const rows: Rows<VmRecord> = function* () {
      for (let id = 100; id < 1400; id++) yield vm(id, { tags: [`t${id % 3}`] });
    };
    expect(await vms.upsert(rows)).equal(1300);
    const seen = [];
    for await (const one of vms.stream({ tag: "t1" })) seen.push(one.id);
    expect([seen.length, new Set(seen).size, seen[0], seen.at(-1)]).deep.equal([434, 434, 100, 1399]);
  });

  it("take a unit of work back whole on any error", async () => {
    const store = await open();
    const error = await store
      .transaction(async ({ vms, tasks }) => {
        await vms.create(vm(100));
        await tasks.create(task());
        expect(await vms.count()).equal(1);
        await vms.create(vm(100));
      })
      .catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_DUPLICATE" });
    expect([await store.lists.vms.count(), await store.lists.tasks.count()]).deep.equal([0, 0]);
    const thrown = new Error("mine");
    expect(
      await store
        .transaction(async ({ vms }) => {
          await vms.create(vm(100));
          throw thrown;
        })
        .catch((e: unknown) => e),
    ).equal(thrown);
    expect(await store.lists.vms.count()).equal(0);
    const both = await store.transaction(async ({ vms }) => [await vms.create(vm(1)), await vms.create(vm(2))].length);
    expect([both, await store.lists.vms.count()]).deep.equal([2, 2]);
  });
});
