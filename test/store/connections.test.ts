import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ProxmoorError, describeError } from "../../src/model/errors.js";
import type { Resource } from "../../src/plan/types.js";
import { Database } from "../../src/store/database.js";
import { openStore } from "../../src/store/index.js";
import type { StoreEvent, StoreSettings } from "../../src/store/index.js";
import { migrate } from "../../src/store/migrate.js";
import { describeStore, NOW } from "../support/database.js";
import type { TestDatabase } from "../support/database.js";
import { guest, observedState } from "../support/observed.js";
import { postgresUrl } from "../support/postgres.js";

const resource: Resource = {
  ref: { kind: "VirtualMachine", name: "web" },
  vmid: 100,
  node: "pve1",
  identity: "u",
  phase: "ready",
  lastApplied: {},
  labels: {},
  source: "s",
  prune: "keep",
  generation: 1,
  observedGeneration: 1,
  conditions: [],
};
const step = { node: "pve1", type: "qmstart", resourceType: "vm", resourceId: "100" } as const;

/** Why a database could not be opened, as a person reads it. */
async function refusal(settings: StoreSettings): Promise<string> {
  try {
    await (await openStore(settings, { now: () => NOW })).close();
    return "opened";
  } catch (error) {
    expect(error).instanceOf(ProxmoorError);
    const text = describeError(error);
    expect(text + String((error as ProxmoorError).cause)).not.contain("hunter2");
    return text;
  }
}

describe("Opening a SQLite file", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "proxmoor-sqlite-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("makes folder and file for the owner alone, with WAL", async () => {
    const file = join(folder, "new", "proxmoor.db");
    const store = await openStore({ provider: "sqlite", file }, { now: () => NOW });
    const modes = [];
    for (const path of [join(folder, "new"), file, `${file}-wal`]) {
      modes.push(((await stat(path)).mode & 0o777).toString(8));
    }
    await store.close();
    await store.close();
    expect(modes).deep.equal(["700", "600", "600"]);
  });

  it("leaves the mode of a file that was there", async () => {
    const file = join(folder, "proxmoor.db");
    await writeFile(file, "");
    await chmod(file, 0o640);
    expect(await refusal({ provider: "sqlite", file })).equal("opened");
    expect(((await stat(file)).mode & 0o777).toString(8)).equal("640");
  });

  it("works in memory", async () => {
    const store = await openStore({ provider: "sqlite", file: ":memory:" }, { now: () => NOW });
    const [a, b] = await Promise.all([store.tasks.plan([step]), store.tasks.plan([step])]);
    expect([...a, ...b]).deep.equal([1, 2]);
    expect(await store.tasks.list()).to.have.length(2);
    await store.close();
  });

  it("refuses what is no database", async () => {
    const file = join(folder, "text.db");
    await writeFile(file, "x".repeat(5000));
    expect(await refusal({ provider: "sqlite", file })).match(/text\.db: The database file is damaged.*\[DB_CORRUPT\]/);
  });

  it("refuses a folder, and a path through a file", async () => {
    await mkdir(join(folder, "sub"));
    await writeFile(join(folder, "file"), "");
    const at = (path: string) => refusal({ provider: "sqlite", file: join(folder, path) });
    expect(await at("sub")).match(/sub: The database file could not be opened.*\[DB_UNREACHABLE\]/);
    expect(await at("file/x.db")).match(/file\/x\.db: The database file could not be opened.*\[DB_UNREACHABLE\]/);
  });
});

describe("Opening PostgreSQL", () => {
  const at = async (change: (url: URL) => void, more: object = {}) => {
    const url = new URL(await postgresUrl());
    change(url);
    return refusal({ provider: "postgresql", url: url.href, ...more });
  };

  it("says that the password is wrong, not which it was", async () => {
    const text = await at((url) => (url.password = "hunter2-wrong"));
    expect(text).match(/The database refused the log-in: password authentication failed.*\[DB_AUTH\]/);
  });

  it("says that there is no such database", async () => {
    expect(await at((url) => (url.pathname = "/nothing"))).match(/no such database.*\[DB_UNREACHABLE\]/);
  });

  it("says that nobody listens", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await at((url) => (url.port = String(port)))).match(
      /could not be reached: .*ECONNREFUSED.*\[DB_UNREACHABLE\]/,
    );
  });

  it("does not go on without TLS where TLS is asked for", async () => {
    const text = await at(() => undefined, { tls: { mode: "require" } });
    expect(text).match(/The server does not support SSL connections/);
    const missing = await at(() => undefined, { tls: { mode: "verify-full", caFile: "/nowhere/ca.pem" } });
    expect(missing).match(/^\/nowhere\/ca\.pem: A file for TLS.*\[DB_CONFIG\]/);
  });

  it("refuses what is no URL, and odd names of schemas", async () => {
    expect(await refusal({ provider: "postgresql", url: "postgresql://u:hunter2@:x" })).match(
      /not valid \[DB_CONFIG\]/,
    );
    expect(await at(() => undefined, { schema: "a b" })).match(/schema is named "a b" \[DB_CONFIG\]/);
  });
});

describeStore("The store", (database) => {
  it("logs statements where asked to, and never their parameters", async () => {
    const db = await database();
    const log: StoreEvent[] = [];
    const store = await db.open({ settings: { logging: true }, log: (event) => log.push(event) });
    await store.state.sync(observedState({ takenAt: NOW, guests: [guest(100, { cipassword: "hunter2" })] }));
    expect(log.map((event) => event.message)).include.members(["database migrated", "statement"]);
    expect(JSON.stringify(log)).contain('INSERT INTO \\"vms\\"').and.not.contain("hunter2");
  });

  it("logs failures only where not", async () => {
    const db = await database();
    await (await db.open()).close();
    const log: StoreEvent[] = [];
    const connections = await db.connect();
    const store = await db.open({ log: (event) => log.push(event) });
    await store.tasks.list();
    expect(log).deep.equal([]);
    await connections.writer.query('DROP TABLE "events"');
    const error = await store.events.list().catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_ERROR" });
    expect(log.map((event) => event.message)).deep.equal(["statement failed"]);
  });

  it("does each unit of work whole or not at all, however they overlap", async () => {
    const db = await database();
    const connections = await db.connect();
    await migrate(connections, { backupFolder: db.folder, now: () => NOW, log: () => undefined });
    const units = new Database(connections, () => NOW);
    const insert = `INSERT INTO "leases" VALUES ('NAME', 'h', 1, 1, 1, 1)`;
    const unit = (name: string, fail: boolean) =>
      units.write(async (tx) => {
        await tx.runner.query(insert.replace("NAME", name));
        await new Promise((resolve) => setImmediate(resolve));
        if (fail) throw new Error("on purpose");
      });
    const all = await Promise.allSettled([unit("a", false), unit("b", true), unit("c", false), unit("d", true)]);
    expect(all.map((outcome) => outcome.status)).deep.equal(["fulfilled", "rejected", "fulfilled", "rejected"]);
    expect(await db.sql(`SELECT "name" FROM "leases" ORDER BY "name"`)).deep.equal([{ name: "a" }, { name: "c" }]);
  });

  it("refuses work after it was closed", async () => {
    const store = await (await database()).open();
    await store.close();
    expect(await store.tasks.list().catch((e: unknown) => e)).deep.include({ code: "INTERNAL" });
  });

  it("waits for a lock of another program, then says so", async () => {
    const db = await database();
    const store = await db.open({ settings: { lockWaitMs: 300 } });
    const rival = (await db.connect()).writer.createQueryRunner();
    await rival.query(db.provider === "sqlite" ? "BEGIN IMMEDIATE" : "BEGIN");
    if (db.provider === "postgresql") await rival.query(`LOCK TABLE "tasks" IN ACCESS EXCLUSIVE MODE`);
    const error = await store.tasks.plan([step]).catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_LOCKED", retry: "later" });

    const patient = await db.open({ settings: { lockWaitMs: 30_000 } });
    const planned = patient.tasks.plan([step]);
    await rival.query("COMMIT");
    await rival.release();
    expect(await planned).to.have.length(1);
  });

  it("migrates only when it gets the lock", async () => {
    const db = await database();
    const rival = (await db.connect()).writer.createQueryRunner();
    await rival.query(db.provider === "sqlite" ? "BEGIN IMMEDIATE" : "BEGIN");
    await rival.query("CREATE TABLE mine (id integer)");
    if (db.provider === "postgresql") {
      await rival.query("SELECT pg_advisory_xact_lock(hashtext('proxmoor migrations ' || current_schema()))");
    }
    const error = await db.open({ settings: { lockWaitMs: 200 } }).catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_LOCKED" });
    await rival.query("ROLLBACK");
    await rival.release();
    await db.open();
  });
});

describeStore(
  "A file",
  (database) => {
    it("says that the disk is full", async () => {
      const db = await database();
      await (await db.open()).close();
      const connections = await db.connect();
      await connections.writer.query("PRAGMA max_page_count = 1");
      const units = new Database(connections, () => NOW);
      const fill = `INSERT INTO "leases" SELECT value, zeroblob(4000), 1, 1, 1, 1 FROM json_each('[1,2,3,4,5,6]')`;
      const error: unknown = await units.write((tx) => tx.runner.query(fill)).catch((e: unknown) => e);
      expect(error).deep.include({ code: "DB_FULL" });
      expect(await db.sql(`SELECT * FROM "leases"`)).deep.equal([]);
    });
  },
  ["sqlite"],
);

describeStore(
  "A server",
  (database) => {
    const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'proxmoor'`;

    async function openUnits(db: TestDatabase): Promise<Database> {
      const connections = await db.connect();
      await migrate(connections, { backupFolder: db.folder, now: () => NOW, log: () => undefined });
      return new Database(connections, () => NOW);
    }

    it("begins a unit of work again whose connection was lost", async () => {
      const db = await database();
      const units = await openUnits(db);
      let attempts = 0;
      await units.write(async (tx) => {
        attempts += 1;
        await tx.runner.query(`INSERT INTO "leases" VALUES ('once', 'h', ${attempts}, 1, 1, 1)`);
        if (attempts === 1) await db.sql(kill);
        await tx.runner.query("SELECT 1");
      });
      expect(await db.sql(`SELECT "name", "token" FROM "leases"`)).deep.equal([{ name: "once", token: 2 }]);
    });

    it("does not when the commit itself was lost, since it may have been done", async () => {
      const db = await database();
      const units = await openUnits(db);
      let attempts = 0;
      const error = await units
        .write(async (tx) => {
          attempts += 1;
          await tx.runner.query(`INSERT INTO "leases" VALUES ('x', 'h', 1, 1, 1, 1)`);
          await db.sql(kill);
        })
        .catch((e: unknown) => e);
      expect(error).deep.include({ code: "DB_UNREACHABLE", retry: "never" });
      expect(String(error)).contain("whether the last change was stored is not known");
      expect(attempts).equal(1);
    });

    it("goes on after all its idle connections were lost", async () => {
      const db = await database();
      const log: string[] = [];
      const store = await db.open({ log: (event) => log.push(event.message) });
      await Promise.all([store.tasks.list(), store.tasks.list()]);
      await db.sql(kill);
      expect(await store.tasks.plan([step])).deep.equal([1]);
    });

    it("names both resources where a vmid was taken between the look and the insert", async () => {
      const db = await database();
      const store = await db.open();
      const rival = (await db.connect()).writer.createQueryRunner();
      await rival.query("BEGIN");
      await rival.query(`INSERT INTO "resources" VALUES
        ('vm/rival', 'VirtualMachine', 'rival', 100, 'pve1', 'u', 'ready', '{}', '{}', 's', 'keep', 1, 1, '[]', 1, 1)`);
      const saved = store.resources.save(resource).catch((e: unknown) => e);
      const waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
      while ((await db.sql(waiting)).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      await rival.query("COMMIT");
      await rival.release();
      expect(await saved).deep.include({
        code: "DB_DUPLICATE",
        message: "vmid 100 can't be given to vm/web: vm/rival has it",
      });
    });

    it("keeps to its own schema", async () => {
      const db = await database();
      const store = await db.open({ settings: { schema: "moor" } });
      await store.tasks.plan([step]);
      expect(await db.sql(`SELECT "id" FROM "moor"."tasks"`)).deep.equal([{ id: 1 }]);
      expect(await db.sql(`SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = 'public'`)).deep.equal([
        { n: 0 },
      ]);
    });
  },
  ["postgresql"],
);
