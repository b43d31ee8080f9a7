import { messageOf, ProxmoorError } from "../model/errors.js";
import type { Kind } from "../model/ref.js";
import type { ClusterReader, GuestStatus, GuestSummary, ObservedNode, RawConfig } from "../observed/types.js";
import { AnswerCheck } from "./answers.js";
import type { Oddity } from "./answers.js";
import type { PveClient } from "./client.js";
import { decode } from "./codec/decode.js";
import { guestSummary, listedGuest, rawConfig, statusOf } from "./guest.js";
import { storagesOf } from "./storages.js";
import { defined, guestPath, guestsPath, needed, numberOf, record, records, textOf } from "./wire.js";
import type { WireRecord } from "./wire.js";

type Overview = Awaited<ReturnType<ClusterReader["overview"]>>;

/** What one node was asked for itself. */
interface NodeLists {
  readonly node: string;
  readonly guests: readonly GuestSummary[];
  readonly storages: readonly WireRecord[];
  readonly pveVersion: string | undefined;
}

/** The node's proxy may take 30 s to find out that a node is gone; a look at the cluster should not. */
const NODE_TIMEOUT_MS = 15_000;

/** Storage figures must not hold up the look at the guests: PVE asks every storage, also one that hangs. */
const STORAGE_TIMEOUT_MS = 5_000;

/** Reads the cluster (src/observed/types.ts). The client bounds how many requests run at the same time. */
export class PveReader implements ClusterReader {
  private readonly check: AnswerCheck;

  /** `report` is told what in PVE's answers is not as documented; what can be read of them is used all the same. */
  constructor(
    private readonly client: PveClient,
    report: (oddity: Oddity) => void = () => undefined,
  ) {
    this.check = new AnswerCheck(report);
  }

  /**
   * The nodes first, then each node's own lists (`/cluster/resources` lags up to 10 s behind them), at last the
   * cluster's list: it has pools and HA states, the guests of silent nodes, and those that moved in between.
   */
  async overview(signal?: AbortSignal): Promise<Overview> {
    // a row of a type that nobody knows yet is no node
    const silent = new Map<string, string>();
    const nodeRows = named(this.rows(await this.client.get("/nodes", {}, { signal }), "/nodes"), silent);
    const asked = await Promise.all(
      nodeRows.map(async (row) => {
        const node = needed(textOf(row["node"]), "node", "/nodes");
        if (textOf(row["status"]) === "offline") {
          silent.set(node, "the cluster reports it offline");
          return undefined;
        }
        return this.nodeLists(node, silent, signal);
      }),
    );
    const lists = asked.filter((list): list is NodeLists => list !== undefined);
    const [resources, configured] = await Promise.all([
      this.client.get("/cluster/resources", {}, { signal }).then((data) => this.rows(data, "/cluster/resources")),
      this.storageConfig(signal),
    ]);
    return {
      nodes: nodeRows.map((row) => observedNode(row, lists)),
      storages: storagesOf({
        configured,
        resources,
        byNode: new Map(lists.map(({ node, storages }) => [node, storages])),
      }),
      guests: mergeGuests(lists, resources, silent),
      silent: new Map([...silent].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
  }

  /** One request: `/pending` holds current values, what waits, and the digest. */
  async guestConfig(at: { kind: Kind; vmid: number; node: string }, signal?: AbortSignal): Promise<RawConfig> {
    const path = `${guestPath(at)}/pending`;
    const data = await this.client.get(path, {}, { signal });
    this.check.rows(data, path);
    return rawConfig(data, path);
  }

  decode: ClusterReader["decode"] = (kind, raw) => decode(kind, raw);

  async guestStatus(at: { kind: Kind; vmid: number; node: string }, signal?: AbortSignal): Promise<GuestStatus> {
    const path = `${guestPath(at)}/status/current`;
    return statusOf(record(await this.client.get(path, {}, { signal }), path));
  }

  private async nodeLists(
    node: string,
    silent: Map<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<NodeLists | undefined> {
    const path = `/nodes/${encodeURIComponent(node)}`;
    try {
      // one request tells whether the node answers: a silent one then holds one connection, not four
      const machines = await this.guestList({ kind: "VirtualMachine", node }, signal);
      const [containers, storages, pveVersion] = await Promise.all([
        this.guestList({ kind: "Container", node }, signal),
        this.optional(`${path}/storage`, signal).then((data) =>
          data === undefined ? [] : this.rows(data, `${path}/storage`),
        ),
        this.optional(`${path}/version`, signal).then((data) =>
          data === undefined ? undefined : textOf(record(data, path)["version"]),
        ),
      ]);
      return { node, guests: [...machines, ...containers], storages, pveVersion };
    } catch (error) {
      if (!isSilence(error)) throw error;
      silent.set(node, messageOf(error));
      return undefined;
    }
  }

  private async guestList(
    at: { kind: Kind; node: string },
    signal: AbortSignal | undefined,
  ): Promise<readonly GuestSummary[]> {
    const path = guestsPath(at);
    const rows = this.rows(await this.client.get(path, {}, { signal, timeoutMs: NODE_TIMEOUT_MS }), path);
    return rows.map((row) => listedGuest(row, { ...at, path }));
  }

  /** A list whose rows are checked as they enter. */
  private rows(data: unknown, path: string): readonly WireRecord[] {
    this.check.rows(data, path);
    return records(data, path);
  }

  /** What a look is complete without: undefined where it is not permitted, or takes too long. */
  private async optional(path: string, signal: AbortSignal | undefined): Promise<unknown> {
    try {
      return await this.client.get(path, {}, { signal, timeoutMs: STORAGE_TIMEOUT_MS, tries: 1 });
    } catch (error) {
      if (signal?.aborted === true || !(error instanceof ProxmoorError)) throw error;
      return undefined;
    }
  }

  private async storageConfig(signal: AbortSignal | undefined): Promise<readonly WireRecord[]> {
    const data = await this.optional("/storage", signal);
    return data === undefined ? [] : this.rows(data, "/storage");
  }
}

/** Errors that mean "this node does not answer"; a refused log-in or certificate concerns every node alike. */
function isSilence(error: unknown): boolean {
  return (
    error instanceof ProxmoorError &&
    ["PVE_NODE_OFFLINE", "PVE_UNREACHABLE", "PVE_NO_ANSWER", "PVE_ERROR", "PVE_ANSWER", "PVE_NOT_FOUND"].includes(
      error.code,
    )
  );
}

/** Stands among the silent nodes for what PVE listed without a name: such a look is never complete. */
const NAMELESS = "(without a name)";

/** The nodes; a row of a type that nobody knows yet is none, and one without a name only says that there is more. */
function named(rows: readonly WireRecord[], silent: Map<string, string>): readonly WireRecord[] {
  return rows.filter(({ type, node }) => {
    if (type !== undefined && type !== "node") return false;
    if (textOf(node) === undefined) silent.set(NAMELESS, "a node in /nodes has no name");
    return textOf(node) !== undefined;
  });
}

function observedNode(row: WireRecord, lists: readonly NodeLists[]): ObservedNode {
  const name = textOf(row["node"]) ?? "";
  const status = textOf(row["status"]);
  const figures = {
    cpus: numberOf(row["maxcpu"]),
    cpuUsage: numberOf(row["cpu"]),
    memory: numberOf(row["maxmem"]),
    memoryUsed: numberOf(row["mem"]),
    uptime: numberOf(row["uptime"]),
    pveVersion: lists.find(({ node }) => node === name)?.pveVersion,
  };
  return { name, status: status === "online" || status === "offline" ? status : "unknown", ...defined(figures) };
}

/**
 * The nodes' own lists where there are any, completed by pool and HA state; guests that only the cluster's list has
 * are kept as it has them. A guest that was listed twice while it moved is where the cluster's list says.
 */
function mergeGuests(
  lists: readonly NodeLists[],
  resources: readonly WireRecord[],
  silent: Map<string, string>,
): GuestSummary[] {
  const guests = new Map<number, GuestSummary>();
  const listed = new Map<number, readonly GuestSummary[]>();
  for (const guest of lists.flatMap((list) => list.guests)) {
    listed.set(guest.vmid, [...(listed.get(guest.vmid) ?? []), guest]);
    guests.set(guest.vmid, guest);
  }
  for (const row of resources) {
    const kind = row["type"] === "qemu" ? "VirtualMachine" : row["type"] === "lxc" ? "Container" : undefined;
    if (kind === undefined) continue;
    const node = textOf(row["node"]);
    const seen = node === undefined ? undefined : guestSummary(kind, node, row);
    if (node === undefined || seen === undefined) {
      silent.set(NAMELESS, "a guest in /cluster/resources has no vmid or no node");
      continue;
    }
    const own = listed.get(seen.vmid)?.find((guest) => guest.node === node) ?? guests.get(seen.vmid);
    const more = defined({ pool: seen.pool, haState: seen.haState });
    guests.set(seen.vmid, own === undefined ? seen : { ...own, ...more });
  }
  return [...guests.values()].sort((a, b) => a.vmid - b.vmid);
}
