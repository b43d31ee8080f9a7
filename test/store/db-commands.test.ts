import { copyFile, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { describeStore, NOW } from "../support/database.js";
import type { TestDatabase } from "../support/database.js";
import { proxmoor } from "../support/cli.js";
import type { CallOptions } from "../support/cli.js";
import { guest, observedState } from "../support/observed.js";

function urlOf(db: TestDatabase): { DATABASE_URL: string; HOME: string } {
  const url = db.settings.provider === "sqlite" ? `file:${db.settings.file}` : db.settings.url;
  return { DATABASE_URL: url, HOME: db.folder };
}

/** Runs `proxmoor db …` on the test's database. */
function caller(db: TestDatabase) {
  return (args: readonly string[], options: CallOptions = {}) =>
    proxmoor(["db", ...args], { ...options, env: { ...urlOf(db), ...options.env } });
}

async function fill(db: TestDatabase, vmids: readonly number[] = [100, 101]): Promise<void> {
  const store = await db.open();
  const guests = vmids.map((vmid) => guest(vmid, { name: `web-${vmid}` }, { memory: 2 ** 62, tags: ["web"] }));
  await store.state.sync(observedState({ takenAt: NOW, guests }));
  await store.tasks.plan([{ node: "pve1", type: "qmstart", resourceType: "vm", resourceId: "100" }]);
  await store.events.record({ time: NOW, type: "Normal", reason: "Seen", message: "ä\n\u2028", ref: "vm/web-100" });
  await store.close();
}

/** The lines of a table that `db check` and `db restore` print alike: name, rows, checksum. */
const sums = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => / [0-9a-f]{16}$/.test(line))
    .map((line) => line.replace(/ +/g, " "));

describeStore("proxmoor db", (database) => {
  it("status shows where it is, its migrations and rows, and changes nothing", async () => {
    const db = await database();
    const call = caller(db);
    if (db.provider === "sqlite") {
      expect((await call(["status"])).err).match(/There is no database file \[DB_UNREACHABLE\]/);
    } else {
      expect((await call(["status"])).out).match(/^1 +Initial1764000000000 +pending\n[^]*There are no tables yet\./m);
    }
    await fill(db);
    const { out } = await call(["status"]);
    expect(out).match(/^1 +Initial1764000000000 +applied\n/m);
    expect(out).match(/^vms +2\nvm_tags +2\ncontainers +0\n/m);
    expect(out).not.contain("hunter2");
    expect(JSON.parse((await call(["status", "-o", "json"])).out)).deep.include({ provider: db.provider });
  });

  it("rollback and migrate go down and up, and print that the rows were kept", async () => {
    const db = await database();
    const call = caller(db);
    await fill(db);
    const before = sums((await call(["check"])).out);
    expect(before.join("\n")).match(/^vms 2 [0-9a-f]{16}$/m);

    const down = await call(["rollback", "--to", "1"]);
    expect(down.err).equal("");
    expect((await call(["status"])).out).match(/^2 +\w+ +pending$/m);
    const up = await call(["migrate"]);
    expect(up.out).match(/^vms +2 +2 +([0-9a-f]{16}) +\1 +kept$/m);
    expect(up.out).match(/A backup from before is /);
    expect(up.out + down.out).not.contain("changed");
    expect(sums((await call(["check"])).out)).deep.equal(before);

    expect((await call(["rollback", "--to", "9"])).err).match(/it can't go back to 9 \[USAGE\]/);
    expect((await call(["migrate"])).out).match(/^The schema is \w+ already\./);
    expect((await call(["rollback", "--to", "0"])).out).match(/→ nothing\n/);
    expect((await call(["rollback"])).err).match(/it can't go back to -1 \[USAGE\]/);
    expect((await call(["migrate", "-o", "json"])).out).match(/"from": \[\]/);
  });

  it("backup, damage, restore: the same checksums", async () => {
    const db = await database();
    const call = caller(db);
    await fill(db);
    const before = sums((await call(["check"])).out);
    const backup = (await call(["backup"])).out.trim();
    expect(((await stat(backup)).mode & 0o777).toString(8)).equal("600");

    if (db.settings.provider === "sqlite") await damage(db.settings.file);
    else await db.sql("DELETE FROM vms; DROP TABLE events CASCADE");
    expect((await call(["restore", backup])).err).match(/nobody could be asked.* \[DB_DECLINED\]/);
    expect((await call(["restore", backup], { isTerminal: true, stdin: "no\n" })).err).match(/\[DB_DECLINED\]/);
    const restored = await call(["restore", backup], { isTerminal: true, stdin: "y\n" });
    expect(restored.err).match(/Go on\? \[y\/N\] $/);
    expect(restored.out).match(/^What was there before is /);
    expect(sums(restored.out)).deep.equal(before);
    const check = await call(["check"]);
    expect(sums(check.out)).deep.equal(before);
    expect(check.out).match(/The database is sound\.\n$/);

    // Numbers go on where they were.
    const store = await db.open();
    const [id = 0] = await store.tasks.plan([{ node: "pve1", type: "x", resourceType: "vm", resourceId: "100" }]);
    expect(id).equal(2);
    expect((await store.state.vms()).map((vm) => vm.memoryBytes)).deep.equal([2n ** 62n, 2n ** 62n]);
  });

  it("backup writes to a file that is asked for, and never over one", async () => {
    const db = await database();
    const call = caller(db);
    await fill(db);
    const file = join(db.folder, "copies", "mine");
    expect((await call(["backup", file])).out).equal(`${file}\n`);
    const again = await call(["backup", file]);
    expect(again.err).match(/The backup failed: EEXIST.* \[DB_BACKUP\]/);
    expect((await call(["restore", file, "--yes", "-o", "json"])).out).match(/"table": "vms",\n +"rows": 2,/);
  });

  it("restore refuses what is no whole backup, and leaves the database as it is", async () => {
    const db = await database();
    const call = caller(db);
    await fill(db);
    const before = sums((await call(["check"])).out);
    const backup = (await call(["backup"])).out.trim();
    const cases: [string, Buffer | string, RegExp][] = [
      ["text", "hello", /it is no backup of Proxmoor's/],
      [
        "other",
        db.provider === "sqlite" ? "--\n-- PostgreSQL database dump" : "SQLite format 3\0",
        /it is a backup of/,
      ],
      ["cut", half(await readFile(backup)), /it is damaged|malformed|it is not whole/],
      ["missing", "", /ENOENT/],
    ];
    for (const [name, content, message] of cases) {
      const file = join(db.folder, name);
      if (name !== "missing") await writeFile(file, content);
      const { err, code } = await call(["restore", file, "--yes"]);
      expect(err)
        .match(message)
        .and.match(/\[DB_BACKUP\]/);
      expect(code).equal(2);
    }
    expect(sums((await call(["check"])).out)).deep.equal(before);
  });

  it("reset asks, backs up and leaves an empty database that works", async () => {
    const db = await database();
    const call = caller(db);
    await fill(db);
    expect((await call(["reset"])).err).match(/\[DB_DECLINED\]/);
    const { out } = await call(["reset", "--yes"]);
    const [, backup = ""] = /A backup from before is (.*)\n/.exec(out) ?? [];
    expect((await stat(backup)).size).greaterThan(0);
    expect((await call(["status"])).out).match(/^vms +0$/m);
    await fill(db);
  });

  it("check finds what does not fit together", async () => {
    const db = await database();
    const call = caller(db);
    await fill(db);
    await db.sql("DELETE FROM vms WHERE id = 101");
    await db.sql(
      "INSERT INTO storage (id, type, content_types, enabled, shared, nodes, created_at, updated_at)" +
        ` VALUES ('nfs', 'nfs', '[]', '1', '1', '["pve1"]', 1, 1)`,
    );
    const { err, code } = await call(["check"]);
    expect(err).match(/the database is not sound:\n[^]* {2}vm\/101 is there by its newest snapshot, but has no row/);
    expect(err).match(/\n {2}storage\/nfs lists nodes that node_storage does not have/);
    expect(err).match(/\n {2}storage\/nfs has no snapshot that says it is there/);
    expect(err).match(/\[DB_DAMAGED\]/);
    expect(code).equal(2);
    expect(JSON.parse((await call(["check", "-o", "json"])).out)).deep.include({ sound: false });
  });

  it("seed fills an empty database, with the same rows for the same number", async () => {
    const dbs = [await database(), await database(), await database()];
    const outs = [];
    for (const [at, db] of dbs.entries()) {
      const seeded = await caller(db)(["seed", "--seed", at === 2 ? "2" : "1"]);
      expect(seeded.err).equal("");
      outs.push(sums(seeded.out).join("\n"));
    }
    expect(outs[1]).equal(outs[0]);
    expect(outs[2]).not.equal(outs[0]);
    expect(outs[0])
      .match(/^nodes 3 /m)
      .and.match(/^tasks 16 /m)
      .and.match(/^resources [1-9]/m);
    const [db = await database()] = dbs;
    expect((await caller(db)(["seed"])).err).match(/\[DB_NOT_EMPTY\]/);
    expect((await caller(db)(["seed", "--profile", "huge"])).err).match(/there is no profile "huge" \[USAGE\]/);
    const history = await proxmoor(["history", "--limit", "3"], { env: urlOf(db) });
    expect(history.out).match(/ {2}updated by \S+ \(\w+, task \d+\)\n {4}\S+: /);
  });

  it("vacuum gives space back", async () => {
    const db = await database();
    await fill(db);
    expect((await caller(db)(["vacuum"])).out).match(/^[0-9.]+ \w+ before, [0-9.]+ \w+ now\n$/);
  });
});

const half = (content: Buffer): Buffer => content.subarray(0, content.length / 2);

async function damage(file: string): Promise<void> {
  const content = await readFile(file);
  content.fill(0xff, 4096, 16384);
  await writeFile(file, content);
}

describeStore(
  "A damaged SQLite file",
  (database) => {
    it("is found by check, and kept by restore", async () => {
      const db = await database();
      const call = caller(db);
      await fill(db);
      const backup = (await call(["backup"])).out.trim();
      if (db.settings.provider !== "sqlite") return;
      await damage(db.settings.file);
      expect((await call(["check"])).err).match(/the database is not sound:\n|damaged/);
      await writeFile(db.settings.file, "no database at all");
      expect((await call(["check"])).err).match(/\[DB_CORRUPT\]/);
      expect((await call(["restore", backup, "--yes"])).code).equal(0);
      const kept = (await readdir(db.folder)).find((name) => name.includes("before-restore")) ?? "";
      expect(await readFile(join(db.folder, kept), "utf8")).equal("no database at all");
      expect((await call(["check"])).out).match(/sound/);
    });

    it("is not replaced while another program has it open", async () => {
      const db = await database();
      const call = caller(db);
      await fill(db);
      const backup = (await call(["backup"])).out.trim();
      const store = await db.open();
      expect((await call(["restore", backup, "--yes"])).err).match(
        /Another program has the database open \[DB_LOCKED\]/,
      );
      expect(await store.state.vms()).length(2);
      await store.close();
      expect((await call(["restore", backup, "--yes"])).code).equal(0);
    });

    it("is not replaced by one that a newer program wrote, nor by another program's", async () => {
      const db = await database();
      const call = caller(db);
      await fill(db);
      const backup = (await call(["backup"])).out.trim();
      if (db.settings.provider !== "sqlite") return;
      const other = join(db.folder, "other.db");
      await copyFile(backup, other);
      await db.sql("INSERT INTO proxmoor_migrations (timestamp, name) VALUES (9, 'AddRack9')");
      const newer = (await call(["backup"])).out.trim();
      expect((await call(["restore", newer, "--yes"])).err).match(/its schema is AddRack9.* \[DB_NEWER\]/);
      expect((await call(["status"])).out).match(/AddRack9 +unknown/);
      expect((await call(["rollback"])).err).match(/\[DB_NEWER\]/);
    });
  },
  ["sqlite"],
);
