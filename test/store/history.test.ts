import { expect } from "chai";
import { compareStates } from "../../src/history/changes.js";
import type { Store } from "../../src/store/index.js";
import { describeStore, NOW } from "../support/database.js";
import type { TestDatabase } from "../support/database.js";
import { proxmoor } from "../support/cli.js";
import { guest, observedState } from "../support/observed.js";

const DAY = 86_400_000;

/** A guest's config over days: changed on each day that is named; undefined takes it away. */
async function live(store: Store, days: readonly (Readonly<Record<string, string>> | undefined)[]): Promise<void> {
  for (const [day, memory] of days.entries()) {
    const guests = Object.entries(memory ?? {}).map(([vmid, size]) =>
      guest(Number(vmid), { memory: size }, { name: `web-${vmid}`, uptime: day * 1000 }),
    );
    await store.state.sync(observedState({ takenAt: NOW + day * DAY, guests }));
  }
}

/** `100=512 101=1024`: the guests of a state with their memory. */
async function stateAt(store: Store, day: number): Promise<string> {
  const state = await store.history.at(NOW + day * DAY);
  return state.vms.map((vm) => `${vm.id}=${vm.config?.["memory"] ?? ""}`).join(" ");
}

const WEEK = [
  { "100": "512" },
  { "100": "1024", "101": "2048" },
  { "100": "1024", "101": "2048" },
  { "100": "4096" },
  { "100": "4096", "101": "8192" },
  { "100": "4096", "101": "8192" },
];

describeStore("History", (database) => {
  const open = async (): Promise<{ db: TestDatabase; store: Store }> => {
    const db = await database();
    return { db, store: await db.open({ now: () => NOW + 6 * DAY }) };
  };

  it("gives the state of any moment", async () => {
    const { store } = await open();
    await live(store, WEEK);
    const states = [];
    for (const day of [0, 0.5, 1, 2.9, 3, 4, 99]) states.push(`${day}: ${await stateAt(store, day)}`);
    expect(states).deep.equal([
      "0: 100=512",
      "0.5: 100=512",
      "1: 100=1024 101=2048",
      "2.9: 100=1024 101=2048",
      "3: 100=4096",
      "4: 100=4096 101=8192",
      "99: 100=4096 101=8192",
    ]);
    const error = await store.history.at(NOW - 1).catch((e: unknown) => e);
    expect(error).deep.include({ code: "HISTORY_MISSING" });
    expect(String(error)).contain("it begins at 2026-01-02T03:04:05.678Z");
  });

  it("knows nothing of an empty database", async () => {
    const { store } = await open();
    expect(await store.history.at(NOW).catch((e: unknown) => e)).deep.include({ code: "HISTORY_MISSING" });
    expect(await store.history.entries()).deep.equal([]);
    expect(await store.history.named("vm", "web")).deep.equal([]);
  });

  it("leaves out figures that move by themselves, keeps 64-bit ones exact", async () => {
    const { store } = await open();
    const one = guest(100, {}, { memory: 2 ** 62, memoryUsed: 5, uptime: 9, networkIn: 1 });
    await store.state.sync(observedState({ takenAt: NOW, guests: [one] }));
    const [vm] = (await store.history.at(NOW)).vms;
    expect(vm).deep.equal({
      id: 100,
      nodeId: "pve1",
      name: "guest-100",
      status: "running",
      template: false,
      memoryBytes: 2n ** 62n,
      haManaged: false,
      configDigest: "digest-2",
      config: {},
      pending: {},
      tags: [],
    });
  });

  it("does not let a look that was overtaken undo what a later one saw", async () => {
    const { store } = await open();
    await store.state.sync(observedState({ takenAt: NOW, guests: [guest(100, { memory: "2" })] }));
    const late = observedState({ takenAt: NOW - 5000, guests: [guest(100, { memory: "1" })] });
    expect(await store.state.sync(late)).deep.equal({ created: 0, updated: 0, deleted: 0, unchanged: 0 });
    expect((await store.state.vms())[0]?.config).deep.equal({ memory: "2" });
  });

  it("goes on in order where the clock is set back", async () => {
    const { store } = await open();
    await store.state.sync(observedState({ takenAt: NOW, guests: [guest(100, { memory: "1" })] }));
    await store.state.sync(observedState({ takenAt: NOW - DAY, guests: [guest(100, { memory: "2" })] }));
    expect(await stateAt(store, 0)).equal("100=2");
  });

  it("compares two times", async () => {
    const { store } = await open();
    await live(store, WEEK);
    const [a, b] = [await store.history.at(NOW + 0.5 * DAY), await store.history.at(NOW + 4 * DAY)];
    expect(compareStates(a, b)).deep.equal({
      changes: [
        {
          type: "vm",
          id: "100",
          name: "web-100",
          change: "updated",
          fields: [
            { path: "config.memory", from: "512", to: "4096" },
            { path: "configDigest", from: "digest-16", to: "digest-17" },
          ],
        },
        { type: "vm", id: "101", name: "web-101", change: "created", fields: [] },
      ],
      unchanged: 1,
    });
    expect(compareStates(b, b)).deep.equal({ changes: [], unchanged: 3 });
    expect(compareStates(b, a).changes.map((change) => change.change)).deep.equal(["updated", "deleted"]);
  });

  it("names the task and the user behind a change", async () => {
    const { store } = await open();
    await live(store, WEEK.slice(0, 1));
    const upid = "UPID:pve1:00000001:00000001:00000001:qmconfig:100:root@pam:";
    const task = { upid, node: "pve1", type: "qmconfig", id: "100", user: "root@pam", exit: "OK" } as const;
    await store.tasks.observe([{ ...task, startTime: NOW + DAY - 1000, endTime: NOW + DAY - 500 }]);
    await store.state.sync(observedState({ takenAt: NOW + DAY, guests: [guest(100, { memory: "9" })] }));
    const [newest] = await store.history.entries({ type: "vm", ids: ["100"] });
    expect(newest).deep.include({ user: "root@pam", change: "updated", task: { id: 1, type: "qmconfig", upid } });
  });

  it("pages backwards", async () => {
    const { store } = await open();
    await live(store, WEEK);
    const all = await store.history.entries();
    const pages = [];
    let before: bigint | undefined;
    for (;;) {
      const page = await store.history.entries({ limit: 2, ...(before === undefined ? {} : { before }) });
      if (page.length === 0) break;
      pages.push(...page);
      before = page.at(-1)?.snapshot;
    }
    expect(pages).deep.equal(all);
    expect(all.map((entry) => `${entry.id} ${entry.change}`)).deep.equal([
      "101 created",
      "101 deleted",
      "100 updated",
      "101 created",
      "100 updated",
      "100 discovered",
      "pve1 discovered",
    ]);
  });

  it("is thinned without losing a moment of the window", async () => {
    const { store } = await open();
    await live(store, WEEK);
    const moments = [3, 3.5, 4, 5];
    const before = await Promise.all(moments.map((day) => stateAt(store, day)));
    const deleted = await store.history.thin({ since: NOW + 3 * DAY, revisions: 1 });
    expect(deleted.snapshots).greaterThan(0);
    expect(await Promise.all(moments.map((day) => stateAt(store, day)))).deep.equal(before);
    const error = await store.history.at(NOW + 2 * DAY).catch((e: unknown) => e);
    expect(error).deep.include({ code: "HISTORY_MISSING" });
    expect(String(error)).contain(`it begins at ${new Date(NOW + 3 * DAY).toISOString()}`);
    expect(await store.history.thin({ since: NOW + 3 * DAY, revisions: 1 })).deep.include({ snapshots: 0 });
  });

  it("is thinned to the newest revisions, and says since when it is exact", async () => {
    const { store } = await open();
    await live(store, WEEK);
    await store.history.thin({ revisions: 2 });
    expect((await store.history.entries({ type: "vm" })).map((entry) => `${entry.id} ${entry.change}`)).deep.equal([
      "101 created",
      "101 deleted",
      "100 updated",
      "100 updated",
    ]);
    expect(await stateAt(store, 3)).equal("100=4096");
    expect(await store.history.at(NOW + 2 * DAY).catch((e: unknown) => e)).deep.include({ code: "HISTORY_MISSING" });
  });

  it("forgets what was deleted before the window, with its tasks, events and manifests", async () => {
    const { store } = await open();
    await live(store, [{ "100": "1", "101": "1" }, { "100": "1" }, { "100": "1" }]);
    const [id = 0] = await store.tasks.plan([{ node: "pve1", type: "qmstop", resourceType: "vm", resourceId: "9" }]);
    await store.tasks.finish(id, { status: "OK", at: NOW });
    await store.tasks.plan([{ node: "pve1", type: "qmstart", resourceType: "vm", resourceId: "9" }]);
    await store.events.record({ time: NOW, type: "Normal", reason: "Old", message: "old" });
    for (const digest of ["a", "b", "c"]) {
      await store.revisions.record({ source: "web.yaml", digest, guests: [], recordedAt: NOW });
    }
    const result = await store.history.thin({ since: NOW + 2 * DAY, revisions: 2 });
    expect(result).deep.equal({ snapshots: 2, tasks: 1, others: 2 });
    expect(await store.history.named("vm", "web-101")).deep.equal([]);
    expect((await store.tasks.list()).map((task) => task.type)).deep.equal(["qmstart"]);
    expect(await stateAt(store, 2)).equal("100=1");
  });
});

describeStore("proxmoor history, get --at, diff --from", (database) => {
  async function lived() {
    const db = await database();
    const store = await db.open();
    await live(store, WEEK);
    await store.close();
    const url = db.settings.provider === "sqlite" ? `file:${db.settings.file}` : db.settings.url;
    return (...args: string[]) => proxmoor(args, { env: { DATABASE_URL: url, HOME: db.folder } });
  }
  const day = (number: number): string => new Date(NOW + number * DAY).toISOString();

  it("tell what changed, of one object or all", async () => {
    const call = await lived();
    const one = await call("history", "vm/web-100");
    expect(one.out).equal(
      `${day(3)}  vm/web-100  updated\n    config.memory: 1024 → 4096\n` +
        `${day(1)}  vm/web-100  updated\n    config.memory: 512 → 1024\n    configDigest: digest-16 → digest-17\n` +
        `${day(0)}  vm/web-100  discovered\n`,
    );
    expect((await call("history", "--limit", "2")).out).match(
      /^\S+ {2}vm\/web-101 {2}created\n\S+ {2}vm\/web-101 {2}deleted\n$/,
    );
    expect((await call("history", "vm/101", "-o", "json")).out).match(/"object": "vm\/web-101"/);
    expect((await call("history", "node/pve1")).out).match(/node\/pve1 {2}discovered/);
    expect((await call("history", "vm/nobody")).err).match(/history knows no vm\/nobody \[NOT_FOUND\]/);
    expect((await call("history", "web")).err).match(/"web" names no object \[USAGE\]/);
  });

  it("list what there was", async () => {
    const call = await lived();
    expect((await call("get", "vms", "--at", day(1.5))).out.replaceAll(/ +/g, " ")).equal(
      "NAME VMID NODE STATUS CPUS MEMORY DISK UPTIME\nweb-100 100 pve1 running\nweb-101 101 pve1 running\n",
    );
    expect((await call("get", "vm/web-100", "--at", day(0), "-o", "json")).out).match(/"memory": "512"/);
    expect((await call("get", "vms", "--at", "10000d")).err).match(/\[HISTORY_MISSING\]/);
    expect((await call("get", "tasks", "--at", day(1))).err).match(/\[USAGE\]/);
    expect((await call("get", "vms", "--at", "yesterday")).err).match(/--at must be a time, not "yesterday" \[USAGE\]/);
  });

  it("print the difference of two times", async () => {
    const call = await lived();
    const between = await call("diff", "--from", day(2), "--to", day(3));
    expect(between.out).equal(
      `--- vm/web-100 (vmid 100) ${day(2)}\n+++ vm/web-100 (vmid 100) ${day(3)}\n@@ updated @@\n` +
        "-config.memory: 1024\n+config.memory: 4096\n\n" +
        `--- vm/web-101 (vmid 101) ${day(2)}\n+++ /dev/null\n@@ deleted @@\n\n` +
        "0 created, 1 changed, 1 deleted, 1 unchanged\n",
    );
    expect(between.code).equal(1);
    const nothing = await call("diff", "--from", day(4), "--to", day(5), "-o", "json");
    expect(JSON.parse(nothing.out)).deep.equal({ from: day(4), to: day(5), unchanged: 3, changes: [] });
    expect(nothing.code).equal(0);
  });

  it("are thinned by db vacuum", async () => {
    const call = await lived();
    expect((await call("db", "vacuum", "--keep-revisions", "1")).out).match(/^Deleted 4 snapshots, 0 tasks, 0 events/);
    expect((await call("db", "vacuum", "--keep-days", "0")).out).match(/^Deleted 0 snapshots/);
    expect((await call("db", "check")).out).match(/sound/);
  });
});
