import { expect } from "chai";
import type { TaskRecord } from "../../src/apply/types.js";
import { describeStore, NOW } from "../support/database.js";
import type { TestDatabase } from "../support/database.js";

const request = { method: "POST", path: "/nodes/pve1/qemu", params: { vmid: "100" } } as const;

function step(number: number, more: object = {}) {
  const target = { node: "pve1", type: "qmcreate", resourceType: "vm", resourceId: "100" } as const;
  return { ...target, run: "run-1", step: number, ref: "vm/web", generation: 2, fingerprint: `f${number}`, ...more };
}

function entry(upid: string, more: object = {}) {
  return { upid, node: "pve1", type: "qmstart", id: "100", user: "root@pam", startTime: NOW - 1000, ...more };
}

function brief(rows: readonly TaskRecord[]): string[] {
  return rows.map(
    (row) => `${row.id} ${row.type} ${row.resourceType}/${row.resourceId} ${row.status} ${row.upid ?? "-"}`,
  );
}

async function openTasks(database: () => Promise<TestDatabase>) {
  return (await (await database()).open()).tasks;
}

describeStore("TaskLog", (database) => {
  it("follows a step from plan to end", async () => {
    const tasks = await openTasks(database);
    expect(await tasks.plan([step(0), step(1, { type: "qmstart" })])).deep.equal([1, 2]);
    expect(brief(await tasks.unfinished())).deep.equal(["1 qmcreate vm/100 planned -", "2 qmstart vm/100 planned -"]);
    await tasks.begin(1, request, NOW + 5);
    await tasks.attach(1, "UPID:1");
    expect((await tasks.unfinished())[0]).deep.equal({
      ...step(0),
      id: 1,
      upid: "UPID:1",
      status: "running",
      startTime: NOW + 5,
      log: [],
      request,
    });
    await tasks.finish(1, { status: "ERROR", exitStatus: "no space", log: ["a", "TASK ERROR: no space"], at: NOW + 9 });
    expect((await tasks.list())[0]).deep.equal({
      ...step(0),
      id: 1,
      upid: "UPID:1",
      status: "ERROR",
      startTime: NOW + 5,
      endTime: NOW + 9,
      exitStatus: "no space",
      log: ["a", "TASK ERROR: no space"],
      request,
    });
    await tasks.finish(2, { status: "stopped", at: NOW + 9 });
    expect(await tasks.unfinished()).deep.equal([]);
  });

  it("keeps a step without an answer as unfinished", async () => {
    const tasks = await openTasks(database);
    const [id = 0] = await tasks.plan([step(0)]);
    await tasks.begin(id, request, NOW);
    await tasks.finish(id, { status: "unknown", at: NOW + 1 });
    expect(brief(await tasks.unfinished())).deep.equal(["1 qmcreate vm/100 unknown -"]);
  });

  it("says which task is not there", async () => {
    const tasks = await openTasks(database);
    const error = await tasks.begin(7, request, NOW).catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_NOT_FOUND", message: "There is no task 7" });
  });

  it("stores the tasks of others, by UPID, with what they are about", async () => {
    const tasks = await openTasks(database);
    await tasks.observe([
      entry("UPID:a"),
      entry("UPID:b", { type: "vzstart", id: "200", endTime: NOW, exit: "OK" }),
      entry("UPID:c", { type: "imgcopy", id: "local", endTime: NOW, exit: "WARNINGS: 2" }),
      entry("UPID:d", { type: "aptupdate", id: "", node: "pve2", endTime: NOW, exit: "command failed" }),
      entry("UPID:e", { type: "vzdump", id: "100", startTime: NOW }),
    ]);
    expect(brief(await tasks.list())).deep.equal([
      "5 vzdump vm/100 running UPID:e",
      "4 aptupdate node/pve2 ERROR UPID:d",
      "3 imgcopy storage/local OK UPID:c",
      "2 vzstart container/200 OK UPID:b",
      "1 qmstart vm/100 running UPID:a",
    ]);
    expect(await tasks.unfinished()).deep.equal([]);

    // Its end, then an older answer that still has it running, then the same once more.
    await tasks.observe([entry("UPID:a", { endTime: NOW + 5, exit: "OK" })]);
    await tasks.observe([entry("UPID:a")]);
    await tasks.observe([
      entry("UPID:a", { endTime: NOW + 5, exit: "OK" }),
      entry("UPID:a", { endTime: NOW + 5, exit: "OK" }),
    ]);
    expect((await tasks.list()).at(-1)).deep.include({ id: 1, status: "OK", endTime: NOW + 5, exitStatus: "OK" });
  });

  it("joins a task of ours with what the poll saw of it, in either order", async () => {
    const tasks = await openTasks(database);
    await tasks.plan([step(0), step(1)]);
    await tasks.observe([entry("UPID:0", { endTime: NOW, exit: "OK" })]);
    await tasks.attach(1, "UPID:0");
    await tasks.attach(2, "UPID:1");
    await tasks.observe([entry("UPID:1", { endTime: NOW, exit: "OK" })]);
    // The end stays with who follows the task: a crash before it must leave the step unfinished.
    expect(brief(await tasks.list({ run: "run-1" }))).deep.equal([
      "2 qmcreate vm/100 planned UPID:1",
      "1 qmcreate vm/100 planned UPID:0",
    ]);
    expect((await tasks.list()).map((row) => row.user)).deep.equal(["root@pam", "root@pam"]);
  });

  it("refuses one UPID for two steps", async () => {
    const tasks = await openTasks(database);
    await tasks.plan([step(0), step(1)]);
    await tasks.attach(1, "UPID:0");
    const error = await tasks.attach(2, "UPID:0").catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_DUPLICATE", subject: "UPID:0" });
  });

  it("lists by ref, run and status, newest first", async () => {
    const tasks = await openTasks(database);
    await tasks.plan([step(0), step(1, { ref: "ct/db" }), step(2, { run: "run-2" })]);
    await tasks.begin(2, request, NOW + 1);
    const ids = async (filter: Parameters<typeof tasks.list>[0]) => (await tasks.list(filter)).map((row) => row.id);
    expect(await ids({})).deep.equal([2, 3, 1]);
    expect(await ids({ ref: "vm/web" })).deep.equal([3, 1]);
    expect(await ids({ run: "run-1" })).deep.equal([2, 1]);
    expect(await ids({ status: "planned", limit: 1 })).deep.equal([3]);
  });

  it("keeps a log with signs that PostgreSQL's text can't hold", async () => {
    const tasks = await openTasks(database);
    await tasks.plan([step(0, { type: "a\u0000b\ud800" })]);
    await tasks.finish(1, { status: "OK", log: ["\u0000", "\ud800", "ü \\u0000"], at: NOW });
    expect((await tasks.list())[0]).deep.include({ type: "a\ufffdb\ufffd", log: ["\u0000", "\ud800", "ü \\u0000"] });
  });
});
