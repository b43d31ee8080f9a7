import { Table } from "typeorm";
import type { MigrationInterface, QueryRunner, TableColumnOptions } from "typeorm";

const GUESTS = [
  { table: "vms", tags: "vm_tags", key: "vm_id" },
  { table: "containers", tags: "container_tags", key: "container_id" },
];

/**
 * Tags and labels as rows, so that finding by them uses an index; a hash of what was last observed of a guest, so that
 * a look that sees nothing new reads no rows; the times the store remembers.
 */
export class FindBy1764000100000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    const sqlite = queryRunner.connection.options.type === "sqlite";
    for (const { table, tags, key } of GUESTS) {
      // Plain SQL: TypeORM would copy the whole table in SQLite.
      await queryRunner.query(`ALTER TABLE "${table}" ADD COLUMN "observed_hash" text`);
      await queryRunner.createTable(
        sideTable(tags, { owner: [key, "integer", table, "id"], columns: ["tag"], by: "tag" }),
      );
      const elements = sqlite
        ? `SELECT DISTINCT t.id, e.value, t.created_at, t.updated_at FROM "${table}" t, json_each(t.tags) e`
        : `SELECT DISTINCT t.id, e.value, t.created_at, t.updated_at FROM "${table}" t, json_array_elements_text(t.tags) AS e(value)`;
      await queryRunner.query(`INSERT INTO "${tags}" ("${key}", "tag", "created_at", "updated_at") ${elements}`);
      // Patterns such as `web-*` use an index only with this class, whatever the database's collation.
      if (!sqlite) await replaceIndex(queryRunner, table, '"name" text_pattern_ops');
    }
    await queryRunner.createTable(
      sideTable("resource_labels", {
        owner: ["ref", "text", "resources", "ref"],
        columns: ["key", "value"],
        by: "key,value",
      }),
    );
    const pairs = sqlite ? "json_each(r.labels) e" : "json_each_text(r.labels) e";
    await queryRunner.query(
      `INSERT INTO "resource_labels" ("ref", "key", "value", "created_at", "updated_at") SELECT r.ref, e.key, e.value, r.created_at, r.updated_at FROM "resources" r, ${pairs}`,
    );
    await queryRunner.createTable(
      new Table({
        name: "marks",
        columns: [primary("marks", "name", "text"), plain("time", "bigint"), ...STAMPS],
      }),
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const sqlite = queryRunner.connection.options.type === "sqlite";
    for (const name of ["marks", "resource_labels", ...GUESTS.map(({ tags }) => tags)])
      await queryRunner.dropTable(name);
    for (const { table } of GUESTS) {
      await queryRunner.query(`ALTER TABLE "${table}" DROP COLUMN "observed_hash"`);
      if (!sqlite) await replaceIndex(queryRunner, table, '"name"');
    }
  }
}

async function replaceIndex(queryRunner: QueryRunner, table: string, column: string): Promise<void> {
  await queryRunner.query(`DROP INDEX "ix_${table}_name"`);
  await queryRunner.query(`CREATE INDEX "ix_${table}_name" ON "${table}" (${column})`);
}

const plain = (name: string, type: string): TableColumnOptions => ({ name, type, isNullable: false });
const primary = (table: string, name: string, type: string): TableColumnOptions => ({
  ...plain(name, type),
  isPrimary: true,
  primaryKeyConstraintName: `pk_${table}`,
});
const STAMPS = [plain("created_at", "bigint"), plain("updated_at", "bigint")];

/** Rows that belong to a row of `owner`'s table and go with it. */
function sideTable(
  name: string,
  side: {
    readonly owner: readonly [column: string, type: string, table: string, references: string];
    readonly columns: readonly string[];
    readonly by: string;
  },
): Table {
  const [owner, type, target, references] = side.owner;
  const keys = name === "resource_labels" ? ["key"] : side.columns;
  return new Table({
    name,
    columns: [
      primary(name, owner, type),
      ...side.columns.map((column) => (keys.includes(column) ? primary(name, column, "text") : plain(column, "text"))),
      ...STAMPS,
    ],
    indices: [{ name: `ix_${name}_${side.by.replaceAll(",", "_")}`, columnNames: side.by.split(",") }],
    foreignKeys: [
      {
        name: `fk_${name}_${owner}`,
        columnNames: [owner],
        referencedTableName: target,
        referencedColumnNames: [references],
        onDelete: "CASCADE",
      },
    ],
  });
}
