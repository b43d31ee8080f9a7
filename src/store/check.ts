import type { QueryRunner } from "typeorm";
import { columnSums, tableChecksums } from "./checksums.js";
import type { TableChecksum } from "./checksums.js";
import type { Connections } from "./connections.js";
import { storeError } from "./errors.js";
import { queryRows } from "./sql.js";

/** What an examination of the whole database found. */
export interface Findings {
  /** One sentence each; none: the database is sound. */
  readonly problems: readonly string[];
  readonly checksums: readonly TableChecksum[];
}

/** Problems of one kind that are told at most. */
const MOST = 20;

/**
 * Reads every page and row. `runner` is in a transaction. Beyond what the database itself can say, it looks for what
 * one transaction writes together: a sync that was cut in half would show here.
 */
export async function examine(on: Connections, runner: QueryRunner): Promise<Findings> {
  try {
    if (on.provider === "sqlite") {
      const damage = await damagedPages(runner);
      if (damage.length > 0) return { problems: damage, checksums: [] };
    }
    const problems = on.provider === "sqlite" ? await orphans(runner) : [];
    for (const rule of rules(on.provider)) {
      const rows = await queryRows<{ subject: string }>(runner, `${rule.sql} LIMIT ${MOST}`);
      problems.push(...rows.map((row) => `${row.subject} ${rule.text}`));
    }
    return { problems, checksums: tableChecksums(await columnSums(on, runner)) };
  } catch (error) {
    const fault = storeError(error, on.subject);
    if (fault.code !== "DB_CORRUPT") throw fault;
    return { problems: [fault.message], checksums: [] };
  }
}

async function damagedPages(runner: QueryRunner): Promise<string[]> {
  const rows = await queryRows<{ integrity_check: string }>(runner, `PRAGMA integrity_check(${MOST})`);
  return rows.map((row) => row.integrity_check).filter((text) => text !== "ok");
}

/** SQLite checks references only as they are written, and only for who asks for it. */
async function orphans(runner: QueryRunner): Promise<string[]> {
  const rows = await queryRows<{ table: string; rowid: number; parent: string }>(runner, "PRAGMA foreign_key_check");
  return rows
    .slice(0, MOST)
    .map((row) => `row ${row.rowid} of ${row.table} refers to a row of ${row.parent} that is not there`);
}

interface Rule {
  readonly text: string;
  /** Selects `subject`, what breaks the rule. */
  readonly sql: string;
}

function rules(provider: Connections["provider"]): Rule[] {
  const guests = [
    { table: "vms", type: "vm", id: "CAST(s.resource_id AS INTEGER)" },
    { table: "containers", type: "container", id: "CAST(s.resource_id AS INTEGER)" },
  ];
  const observed = [...guests, { table: "storage", type: "storage", id: "s.resource_id" }];
  const elements =
    provider === "sqlite"
      ? (column: string) => `json_each(${column})`
      : (column: string) => `json_array_elements_text(${column}) AS e(value)`;
  return [
    {
      text: "is both a VM and a container",
      sql: "SELECT 'vmid ' || v.id AS subject FROM vms v JOIN containers c ON c.id = v.id",
    },
    {
      text: "lists nodes that node_storage does not have",
      sql: `SELECT 'storage/' || s.id AS subject FROM storage s, ${elements("s.nodes")} WHERE NOT EXISTS (SELECT 1 FROM node_storage n WHERE n.storage_id = s.id AND n.node_id = value)`,
    },
    ...observed.map(({ table, type }) => ({
      text: "has no snapshot that says it is there",
      sql: `SELECT '${type}/' || o.id AS subject FROM ${table} o WHERE COALESCE((SELECT s.change_type FROM state_snapshots s WHERE s.resource_type = '${type}' AND s.resource_id = CAST(o.id AS TEXT) ORDER BY s.id DESC LIMIT 1), 'deleted') = 'deleted'`,
    })),
    ...observed.map(({ table, type, id }) => ({
      text: "is there by its newest snapshot, but has no row",
      sql: `SELECT '${type}/' || s.resource_id AS subject FROM state_snapshots s WHERE s.id IN (SELECT MAX(id) FROM state_snapshots WHERE resource_type = '${type}' GROUP BY resource_id) AND s.change_type <> 'deleted' AND NOT EXISTS (SELECT 1 FROM ${table} o WHERE o.id = ${id})`,
    })),
  ];
}
