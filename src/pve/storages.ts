import type { ObservedStorage } from "../observed/types.js";
import { flagOf, numberOf, textOf } from "./wire.js";
import type { WireRecord } from "./wire.js";

type Figures = ObservedStorage["nodes"][number];

export interface StorageSources {
  /** GET /storage: paths, nodes and disabled ones; empty where it is not permitted. */
  readonly configured: readonly WireRecord[];
  /** GET /cluster/resources: one row for each node. */
  readonly resources: readonly WireRecord[];
  /** GET /nodes/N/storage: the figures with what is really available; a node may be missing. */
  readonly byNode: ReadonlyMap<string, readonly WireRecord[]>;
}

/** The storages of the cluster by id, with the figures of every node that may use them. */
export function storagesOf({ configured, resources, byNode }: StorageSources): ObservedStorage[] {
  const rows = resources.filter((row) => row["type"] === "storage");
  const ids = new Set([...configured, ...rows].map((row) => textOf(row["storage"]) ?? "").filter((id) => id !== ""));
  return [...ids].sort().map((id) => {
    const config = configured.find((row) => row["storage"] === id);
    const seen = rows.filter((row) => row["storage"] === id);
    const first = seen[0] ?? {};
    const own = [...byNode.values()].flatMap((list) => list.filter((row) => row["storage"] === id));
    const path = textOf(config?.["path"]);
    return {
      id,
      type: textOf(config?.["type"]) ?? textOf(first["plugintype"]) ?? textOf(own[0]?.["type"]) ?? "unknown",
      content: (textOf(config?.["content"]) ?? textOf(first["content"]) ?? "")
        .split(",")
        .filter((item) => item !== "" && item !== "none")
        .sort(),
      enabled: !flagOf(config?.["disable"]),
      shared: flagOf(first["shared"]) || flagOf(own[0]?.["shared"]) || flagOf(config?.["shared"]),
      ...(path === undefined ? {} : { path }),
      nodes: seen.map((row) => figures(row, byNode)).sort((a, b) => (a.node < b.node ? -1 : 1)),
    };
  });
}

/** A node's own figures, or those of the cluster's list, where what is free is all that is not used. */
function figures(row: WireRecord, byNode: ReadonlyMap<string, readonly WireRecord[]>): Figures {
  const node = textOf(row["node"]) ?? "";
  const own = byNode.get(node)?.find((candidate) => candidate["storage"] === row["storage"]);
  if (own !== undefined) {
    return {
      node,
      active: flagOf(own["active"]),
      total: numberOf(own["total"]) ?? 0,
      used: numberOf(own["used"]) ?? 0,
      available: numberOf(own["avail"]) ?? 0,
    };
  }
  const [total, used] = [numberOf(row["maxdisk"]) ?? 0, numberOf(row["disk"]) ?? 0];
  return { node, active: row["status"] === "available", total, used, available: Math.max(0, total - used) };
}
