import { nodes } from "./entities/cluster.js";
import { insertMany } from "./rows.js";
import type { Tx } from "./rows.js";

/** Rows refer to nodes that may not have been observed yet: they get a row whose status is unknown. */
export async function ensureNodes(tx: Tx, names: Iterable<string>): Promise<void> {
  const rows = [...new Set(names)].sort().map((id) => ({ id, status: "unknown" }));
  await insertMany(tx, nodes, rows, { onConflict: "nothing" });
}
