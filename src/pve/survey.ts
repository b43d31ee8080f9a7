import { ProxmoorError } from "../model/errors.js";
import type { PveClient } from "./client.js";
import { flagOf, numberOf, record, records, textOf } from "./wire.js";

/** A volume as its storage lists it; sizes in bytes. */
export interface SurveyedVolume {
  readonly volid: string;
  readonly node: string;
  readonly content: string;
  readonly format?: string;
  readonly size: number;
  readonly used?: number;
}

/** What planning does not need, and a copy of the cluster does. What can't be read is left out. */
export interface Survey {
  /** Bridges and virtual networks, by node. */
  readonly bridges: ReadonlyMap<string, readonly string[]>;
  readonly volumes: readonly SurveyedVolume[];
  /** What the log-in may do: path → privilege → whether it holds below that path too. */
  readonly privileges?: Readonly<Record<string, Readonly<Record<string, boolean>>>>;
}

export interface SurveyPlan {
  /** Nodes that answer. */
  readonly nodes: readonly string[];
  /** The storages with the node that each is to be read on: one for a shared storage. */
  readonly storages: readonly { readonly id: string; readonly node: string }[];
}

/** Reads the networks of the nodes, the storages' contents and the log-in's privileges; writes nothing. */
export async function survey(client: PveClient, plan: SurveyPlan, signal?: AbortSignal): Promise<Survey> {
  const read = (path: string, params = {}) => optional(client, { path, params }, signal);
  const [networks, contents, permissions] = await Promise.all([
    Promise.all(plan.nodes.map((node) => read(`/nodes/${encodeURIComponent(node)}/network`, { type: "include_sdn" }))),
    Promise.all(
      plan.storages.map(({ id, node }) =>
        read(`/nodes/${encodeURIComponent(node)}/storage/${encodeURIComponent(id)}/content`),
      ),
    ),
    read("/access/permissions"),
  ]);
  const bridges = new Map<string, string[]>();
  for (const [index, node] of plan.nodes.entries()) {
    const rows = networks[index];
    if (rows !== undefined)
      bridges.set(
        node,
        records(rows, "network").flatMap((row) => textOf(row["iface"]) ?? []),
      );
  }
  const volumes = plan.storages.flatMap(({ node }, index) => volumesOf(contents[index], node));
  return { bridges, volumes, ...(permissions !== undefined && { privileges: privilegesOf(permissions) }) };
}

async function optional(
  client: PveClient,
  { path, params }: { path: string; params: Record<string, string> },
  signal: AbortSignal | undefined,
): Promise<unknown> {
  try {
    return await client.get(path, params, { signal, tries: 1 });
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof ProxmoorError)) throw error;
    return undefined;
  }
}

function volumesOf(data: unknown, node: string): SurveyedVolume[] {
  if (data === undefined) return [];
  return records(data, "content").flatMap((row): SurveyedVolume[] => {
    const [volid, content, format] = [textOf(row["volid"]), textOf(row["content"]), textOf(row["format"])];
    const [size, used] = [numberOf(row["size"]), numberOf(row["used"])];
    if (volid === undefined || content === undefined || size === undefined) return [];
    return [
      { volid, node, content, size, ...(format !== undefined && { format }), ...(used !== undefined && { used }) },
    ];
  });
}

function privilegesOf(data: unknown): NonNullable<Survey["privileges"]> {
  const paths = Object.entries(record(data, "/access/permissions"));
  return Object.fromEntries(
    paths.map(([path, held]) => [
      path,
      Object.fromEntries(Object.entries(record(held, path)).map(([name, below]) => [name, flagOf(below)])),
    ]),
  );
}
