import { Table } from "typeorm";
import type { MigrationInterface, QueryRunner, TableColumnOptions } from "typeorm";

// A migration is history: it spells its tables out and imports nothing of src, which goes on changing.

interface Draft {
  readonly name: string;
  /** `name: type`, with `?` for nullable and `key` or `serial` for the primary key. */
  readonly columns: Readonly<Record<string, string>>;
  readonly indexes?: readonly string[];
  readonly unique?: readonly string[];
  /** column → table, what happens on delete */
  readonly foreignKeys?: Readonly<Record<string, readonly [table: string, onDelete: string]>>;
}

const GUEST = {
  id: "int key",
  node_id: "text",
  name: "text?",
  status: "text",
  template: "bool",
  cpu_cores: "int?",
  cpu_usage: "real?",
  memory_bytes: "bigint?",
  memory_usage: "bigint?",
  disk_size: "bigint?",
  disk_usage: "bigint?",
  network_in: "bigint?",
  network_out: "bigint?",
  uptime: "int?",
  ha_managed: "bool",
  lock_status: "text?",
  config_digest: "text?",
  last_seen: "bigint?",
  config: "json?",
  pending: "json?",
  tags: "json",
  pool: "text?",
};
const GUEST_INDEXES = ["node_id", "status", "name", "pool", "last_seen"];

const DRAFTS: readonly Draft[] = [
  {
    name: "nodes",
    columns: {
      id: "text key",
      status: "text",
      type: "text?",
      cpu_usage: "real?",
      cpu_max: "int?",
      memory_usage: "bigint?",
      memory_max: "bigint?",
      uptime: "int?",
      pve_version: "text?",
      last_seen: "bigint?",
    },
    indexes: ["status", "last_seen"],
  },
  {
    name: "vms",
    columns: { ...GUEST, pid: "int?", uuid: "text?" },
    indexes: GUEST_INDEXES,
    foreignKeys: { node_id: ["nodes", "NO ACTION"] },
  },
  {
    name: "containers",
    columns: { ...GUEST, hostname: "text?", swap_bytes: "bigint?", swap_usage: "bigint?", os_template: "text?" },
    indexes: GUEST_INDEXES,
    foreignKeys: { node_id: ["nodes", "NO ACTION"] },
  },
  {
    name: "storage",
    columns: {
      id: "text key",
      type: "text",
      content_types: "json",
      enabled: "bool",
      shared: "bool",
      total_bytes: "bigint?",
      used_bytes: "bigint?",
      available_bytes: "bigint?",
      path: "text?",
      nodes: "json",
      config_digest: "text?",
      last_seen: "bigint?",
    },
    indexes: ["type", "last_seen"],
  },
  {
    name: "node_storage",
    columns: {
      node_id: "text key",
      storage_id: "text key",
      active: "bool",
      total_bytes: "bigint?",
      used_bytes: "bigint?",
      available_bytes: "bigint?",
    },
    indexes: ["storage_id"],
    foreignKeys: { node_id: ["nodes", "CASCADE"], storage_id: ["storage", "CASCADE"] },
  },
  {
    name: "tasks",
    columns: {
      id: "int serial",
      upid: "text?",
      node_id: "text",
      type: "text",
      status: "text",
      resource_type: "text",
      resource_id: "text",
      user: "text?",
      start_time: "bigint?",
      end_time: "bigint?",
      exit_status: "text?",
      log_entries: "json",
      own: "bool",
      listed_at: "bigint",
      run: "text?",
      step: "int?",
      ref: "text?",
      generation: "int?",
      fingerprint: "text?",
      request: "json?",
    },
    indexes: ["node_id", "status,own", "resource_type,resource_id", "listed_at,id", "end_time", "run", "ref", "user"],
    unique: ["upid"],
    foreignKeys: { node_id: ["nodes", "NO ACTION"] },
  },
  {
    name: "state_snapshots",
    columns: {
      id: "bigint serial",
      snapshot_time: "bigint",
      resource_type: "text",
      resource_id: "text",
      resource_data: "json",
      change_type: "text",
      changed_paths: "json",
      task_id: "int?",
      user: "text?",
    },
    indexes: ["resource_type,resource_id,id", "snapshot_time", "task_id"],
    foreignKeys: { task_id: ["tasks", "SET NULL"] },
  },
  {
    name: "resources",
    columns: {
      ref: "text key",
      kind: "text",
      name: "text",
      vmid: "int",
      node: "text",
      identity: "text",
      phase: "text",
      last_applied: "json",
      labels: "json",
      source: "text",
      prune: "text",
      generation: "int",
      observed_generation: "int",
      conditions: "json",
    },
    indexes: ["kind,name", "node", "source", "phase"],
    unique: ["vmid"],
  },
  { name: "vmid_quarantine", columns: { vmid: "int key", ref: "text", until: "bigint" }, indexes: ["until"] },
  {
    name: "events",
    columns: {
      id: "int serial",
      first_time: "bigint",
      time: "bigint",
      type: "text",
      reason: "text",
      message: "text",
      ref: "text?",
      count: "int",
    },
    indexes: ["ref,time", "time", "reason"],
  },
  { name: "leases", columns: { name: "text key", holder: "text?", token: "int", expires_at: "bigint" } },
  {
    name: "manifest_revisions",
    columns: {
      id: "int serial",
      source: "text",
      digest: "text",
      commit: "text?",
      guests: "json",
      recorded_at: "bigint",
    },
    indexes: ["source,id", "recorded_at"],
  },
];

/** The first schema. */
export class Initial1764000000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    const sqlite = queryRunner.connection.options.type === "sqlite";
    for (const draft of DRAFTS) await queryRunner.createTable(build(draft, sqlite));
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const draft of [...DRAFTS].reverse()) await queryRunner.dropTable(draft.name);
  }
}

function build(draft: Draft, sqlite: boolean): Table {
  const { name } = draft;
  const columns = { ...draft.columns, created_at: "bigint", updated_at: "bigint" };
  const index = (prefix: string, isUnique: boolean) => (list: string) => ({
    name: `${prefix}_${name}_${list.replaceAll(",", "_")}`,
    columnNames: list.split(","),
    isUnique,
  });
  return new Table({
    name,
    columns: Object.entries(columns).map(([column, spec]) => buildColumn(name, column, spec, sqlite)),
    indices: [...(draft.unique ?? []).map(index("uq", true)), ...(draft.indexes ?? []).map(index("ix", false))],
    foreignKeys: Object.entries(draft.foreignKeys ?? {}).map(([column, [target, onDelete]]) => ({
      name: `fk_${name}_${column}`,
      columnNames: [column],
      referencedTableName: target,
      referencedColumnNames: ["id"],
      onDelete,
    })),
  });
}

function buildColumn(table: string, name: string, spec: string, sqlite: boolean): TableColumnOptions {
  const [type = "", role] = spec.replace("?", "").split(" ");
  // SQLite numbers rows in INTEGER PRIMARY KEY only.
  const bigint = sqlite && role === "serial" ? "integer" : "bigint";
  const types: Record<string, string> = {
    text: "text",
    int: "integer",
    bigint,
    real: "double precision",
    bool: "boolean",
    json: sqlite ? "text" : "json",
  };
  return {
    name,
    type: types[type] ?? type,
    isNullable: spec.endsWith("?"),
    ...(role === undefined ? {} : { isPrimary: true, primaryKeyConstraintName: `pk_${table}` }),
    ...(role === "serial" ? { isGenerated: true, generationStrategy: "increment" as const } : {}),
  };
}
