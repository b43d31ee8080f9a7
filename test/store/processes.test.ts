import { expect } from "chai";
import { proxmoor } from "../support/cli.js";
import { describeStore, NOW } from "../support/database.js";
import { guest, observedState } from "../support/observed.js";
import { storeProcess } from "../support/store-process.js";

describeStore("Two processes on one database", (database) => {
  it("write and read at once: 8 writers and 4 readers, nothing lost", async () => {
    const db = await database();
    const job = { do: "work", writers: 4, readers: 2, rounds: 5 } as const;
    // Both find an empty database, so they race for the migration as well.
    const processes = ["a", "b"].map((name) => storeProcess(db.settings, { ...job, name }));
    await Promise.all(processes.map((one) => one.done()));

    const store = await db.open();
    const rows = await store.tasks.list();
    expect(rows.map((row) => row.status).join(" ")).equal(Array.from({ length: 40 }, () => "OK").join(" "));
    expect(new Set(rows.map((row) => row.upid)).size).equal(40);
    expect((await store.events.list()).map((event) => event.count)).deep.equal([40]);
  });

  it("open a new database at once: one migrates, the others wait", async () => {
    const db = await database();
    const processes = [1, 2, 3].map(() => storeProcess(db.settings, { do: "open" }));
    await Promise.all(processes.map((one) => one.done()));
    expect(await (await db.open()).tasks.list()).deep.equal([]);
  });

  it("survive kill -9 of one in the middle of a sync: the database holds the last whole one", async () => {
    const db = await database();
    const process = storeProcess(db.settings, { do: "sync forever", guests: 10_000 });
    await process.printed("round 2");
    await process.kill();
    const url = db.settings.provider === "sqlite" ? `file:${db.settings.file}` : db.settings.url;
    const check = await proxmoor(["db", "check"], { env: { DATABASE_URL: url, HOME: db.folder } });
    expect(check.out + check.err).match(/^vms +10000 [^]*The database is sound\.\n$/m);

    const store = await db.open();
    const vms = await store.state.vms();
    const rounds = new Set(vms.map((vm) => vm.config?.["round"]));
    expect([vms.length, rounds.size]).deep.equal([10_000, 1]);
    const snapshots = await store.state.snapshots({ type: "vm" });
    expect(snapshots).to.have.length(10_000 * Number([...rounds][0]));
    const next = await store.state.sync(observedState({ takenAt: NOW, guests: [guest(100, {})] }));
    expect(next).deep.include({ deleted: 9999, updated: 1 });
  });
});
