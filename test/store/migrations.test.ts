import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { TableColumn } from "typeorm";
import type { MigrationInterface, QueryRunner } from "typeorm";
import { dataSource } from "../../src/store/data-source.js";
import { storeError } from "../../src/store/errors.js";
import { changeSchema, migrate } from "../../src/store/migrate.js";
import { MIGRATIONS } from "../../src/store/migrations.js";
import { describeStore, NOW, sqliteQuery } from "../support/database.js";
import type { TestDatabase } from "../support/database.js";
import { guest, observedState } from "../support/observed.js";

/** A migration of a time to come: a column more in a table that others refer to. */
class AddRack2000000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.addColumn("nodes", new TableColumn({ name: "rack", type: "text", isNullable: true }));
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.dropColumn("nodes", "rack");
  }
}

/** One that gets half way. */
class Breaks2100000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.dropTable("events");
    await runner.query("SELECT * FROM no_such_table");
  }
  async down(): Promise<void> {}
}

/** One that takes away what others refer to. */
class LosesNodes2200000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query("DELETE FROM nodes");
  }
  async down(): Promise<void> {}
}

const LATER = [...MIGRATIONS, AddRack2000000000000];
const TABLES = [
  "containers",
  "events",
  "leases",
  "manifest_revisions",
  "node_storage",
  "nodes",
  "resources",
  "state_snapshots",
  "storage",
  "tasks",
  "vmid_quarantine",
  "vms",
];

async function fill(database: TestDatabase): Promise<void> {
  const store = await database.open();
  await store.state.sync(observedState({ takenAt: NOW, guests: [guest(100, { name: "web" }, { memory: 2 ** 62 })] }));
  await store.tasks.plan([{ node: "pve1", type: "qmstart", resourceType: "vm", resourceId: "100" }]);
  await store.close();
}

/** Every row, as text in one form. */
async function contents(database: TestDatabase): Promise<string> {
  const parts = [];
  for (const table of TABLES) {
    const rows = await database.sql(`SELECT * FROM "${table}" ORDER BY 1, 2`);
    parts.push(`${table} ${JSON.stringify(rows.map(({ rack: _rack, ...row }) => row))}`);
  }
  return parts.join("\n");
}

const log = (): void => undefined;

async function undo(
  database: TestDatabase,
  migrations: typeof LATER,
  to = migrations.length - 1,
): Promise<string | undefined> {
  const options = { backupFolder: database.folder, now: () => NOW + 1, log };
  return (await changeSchema(await database.connect(migrations), options, to)).backupFile;
}

async function schemaChanges(database: TestDatabase): Promise<string[]> {
  const source = dataSource(database.settings, log);
  await source.initialize();
  try {
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    return upQueries.map((query) => query.query);
  } finally {
    await source.destroy();
  }
}

describeStore("Migrations", (database) => {
  it("make the schema that the entities describe", async () => {
    const db = await database();
    await (await db.open()).close();
    expect(await schemaChanges(db)).deep.equal([]);
    await (await db.open({ migrations: LATER })).close();
    expect((await schemaChanges(db)).length).greaterThan(0);
  });

  it("go up, down and up again with all rows kept, and a backup before each", async () => {
    const db = await database();
    await fill(db);
    const before = await contents(db);

    const upgraded = await db.open({ migrations: LATER });
    expect(upgraded.backupFile).a("string");
    await upgraded.close();
    expect(await contents(db)).equal(before);
    expect(await db.sql("SELECT rack FROM nodes")).deep.equal([{ rack: null }]);

    expect(await undo(db, LATER)).a("string");
    expect(await contents(db)).equal(before);
    expect(await db.sql("SELECT rack FROM nodes").catch((error: Error) => error.message)).match(
      /no such column|does not exist/,
    );

    await (await db.open({ migrations: LATER })).close();
    expect(await contents(db)).equal(before);
  });

  it("leave foreign keys enforced", async () => {
    const db = await database();
    const connections = await db.connect(LATER);
    await migrate(connections, { backupFolder: db.folder, now: () => NOW, log });
    const orphan = "INSERT INTO node_storage VALUES ('nowhere', 'nothing', '1', 1, 1, 1, 1, 1)";
    const error: unknown = await connections.writer.query(orphan).catch((e: unknown) => storeError(e));
    expect(error).deep.include({ code: "DB_FOREIGN_KEY" });
  });

  it("take the first schema back as a whole", async () => {
    const db = await database();
    await fill(db);
    await undo(db, [...MIGRATIONS], 0);
    expect(await db.sql("SELECT count(*) AS n FROM nodes").catch(() => "gone")).equal("gone");
    await fill(db);
  });

  it("back up nothing where there is nothing", async () => {
    const db = await database();
    const store = await db.open({ migrations: LATER });
    expect(store.backupFile).equal(undefined);
    expect((await readdir(db.folder)).filter((name) => name.includes("backup"))).deep.equal([]);
  });

  it("refuse a database that a newer version wrote, and name both versions", async () => {
    const db = await database();
    await (await db.open({ migrations: LATER })).close();
    const error = await db.open().catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_NEWER" });
    expect(String(error)).match(/its schema is AddRack2000000000000, this program knows up to FindBy1764000100000/);
  });

  it("leave the old schema working where one fails", async () => {
    const db = await database();
    await fill(db);
    const before = await contents(db);
    const error = await db.open({ migrations: [...LATER, Breaks2100000000000] }).catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_MIGRATION" });
    expect(String(error)).match(/A migration failed and was taken back: .*no_such_table/);
    expect(await contents(db)).equal(before);
    await fill(db);
  });

  it("refuse to leave rows that refer to nothing", async () => {
    const db = await database();
    await fill(db);
    const before = await contents(db);
    const error = await db.open({ migrations: [...MIGRATIONS, LosesNodes2200000000000] }).catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_MIGRATION" });
    expect(await contents(db)).equal(before);
  });

  it("back up what was there, in files that only the owner reads", async () => {
    const db = await database();
    await fill(db);
    const [vm] = await db.sql("SELECT * FROM vms");
    const { backupFile = "" } = await db.open({ migrations: LATER });
    expect(((await stat(backupFile)).mode & 0o777).toString(8)).equal("600");
    if (db.provider === "sqlite") {
      expect(backupFile).equal(join(db.folder, "proxmoor.db.backup-20260102T030405678Z"));
      expect(await sqliteQuery(backupFile, "SELECT * FROM vms")).deep.equal([vm]);
      return;
    }
    const text = await readFile(backupFile, "utf8");
    expect(text).contain("4611686018427387904");
    expect(text).contain("Initial1764000000000");
    expect(text).not.contain("AddRack");
  });

  it("do not begin where the backup can't be made", async () => {
    const db = await database();
    await fill(db);
    const before = await contents(db);
    const file = join(db.folder, "file");
    await writeFile(file, "");
    const error = await db
      .open({ migrations: LATER, settings: { backupFolder: join(file, "backups") } })
      .catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_MIGRATION" });
    expect(String(error)).match(/The backup before the migration failed: ENOTDIR/);
    expect(await contents(db)).equal(before);
    await (await db.open({ migrations: LATER })).close();
  });
});
