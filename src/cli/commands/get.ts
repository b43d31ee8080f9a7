import { ProxmoorError } from "../../model/errors.js";
import { refKey } from "../../model/ref.js";
import type { TaskRecord } from "../../apply/types.js";
import type { ClusterState, ContainerRecord, VmRecord } from "../../history/types.js";
import type { Resource } from "../../plan/types.js";
import { openSession, type GlobalOptions, type Session } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { look } from "../look.js";
import { toJson, toYaml } from "../output/json.js";
import { formatBytes, formatDuration, formatTable } from "../output/table.js";
import { timeOf } from "../times.js";

export interface GetOptions extends GlobalOptions {
  readonly output?: string;
  readonly selector?: string;
  readonly watch?: boolean;
  readonly cached?: boolean;
  readonly at?: string;
}

/** One kind of list: where its rows come from and its columns; `wide` ones only with -o wide. */
interface Listing<T> {
  readonly rows: (session: Session) => Promise<readonly T[]>;
  /** The rows of a time in the past; left out: there is no history of them. */
  readonly past?: (state: ClusterState) => readonly T[];
  readonly name: (row: T) => string;
  /** The object a row is about, where that is not its name. */
  readonly key?: (row: T) => string | undefined;
  readonly columns: readonly (readonly [title: string, cell: (row: T, now: number) => string, wide?: "wide"])[];
  readonly isOwn?: boolean;
}

const percent = (part: number | undefined) => (part === undefined ? "" : `${(part * 100).toFixed(1)}%`);
const seconds = (value: number | undefined) => (value === undefined || value === 0 ? "" : formatDuration(value * 1000));
const of = (used: bigint | undefined, total: bigint | undefined) =>
  total === undefined ? "" : `${formatBytes(used ?? 0n)} / ${formatBytes(total)}`;
const ago = (time: number | undefined, now: number) => (time === undefined ? "" : formatDuration(now - time));

function listing<T>(list: Listing<T>): Listing<unknown> {
  return list as unknown as Listing<unknown>;
}

const GUEST_COLUMNS: Listing<VmRecord | ContainerRecord>["columns"] = [
  ["NAME", (row) => row.name ?? ""],
  ["VMID", (row) => String(row.id)],
  ["NODE", (row) => row.nodeId],
  ["STATUS", (row) => (row.template ? "template" : row.status)],
  ["CPUS", (row) => String(row.cpuCores ?? "")],
  ["MEMORY", (row) => formatBytes(row.memoryBytes)],
  ["DISK", (row) => formatBytes(row.diskSize)],
  ["UPTIME", (row) => seconds(row.uptime)],
  ["TAGS", (row) => row.tags.join(","), "wide"],
  ["POOL", (row) => row.pool ?? "", "wide"],
  ["LOCK", (row) => row.lockStatus ?? "", "wide"],
];

const LISTINGS: Readonly<Record<string, Listing<unknown>>> = {
  nodes: listing({
    rows: (session) => session.store.state.nodes(),
    past: (state) => state.nodes,
    name: (row) => `node/${row.id}`,
    columns: [
      ["NAME", (row) => row.id],
      ["STATUS", (row) => row.status],
      ["CPU", (row) => percent(row.cpuUsage)],
      ["CPUS", (row) => String(row.cpuMax ?? "")],
      ["MEMORY", (row) => of(row.memoryUsage, row.memoryMax)],
      ["UPTIME", (row) => seconds(row.uptime)],
      ["VERSION", (row) => row.pveVersion ?? "", "wide"],
    ],
  }),
  vms: listing({
    rows: (session) => session.store.state.vms(),
    past: (state) => state.vms,
    name: (row) => `vm/${row.name ?? row.id}`,
    columns: [...GUEST_COLUMNS, ["UUID", (row) => row.uuid ?? "", "wide"]],
  }),
  containers: listing({
    rows: (session) => session.store.state.containers(),
    past: (state) => state.containers,
    name: (row) => `ct/${row.name ?? row.id}`,
    columns: [...GUEST_COLUMNS, ["OSTYPE", (row) => row.osTemplate ?? "", "wide"]],
  }),
  storage: listing({
    rows: (session) => session.store.state.storages(),
    past: (state) => state.storages,
    name: (row) => `storage/${row.id}`,
    columns: [
      ["NAME", (row) => row.id],
      ["TYPE", (row) => row.type],
      ["SHARED", (row) => (row.shared ? "yes" : "no")],
      ["ENABLED", (row) => (row.enabled ? "yes" : "no")],
      ["USED", (row) => of(row.usedBytes, row.totalBytes)],
      ["CONTENT", (row) => row.contentTypes.join(",")],
      ["NODES", (row) => row.nodes.join(","), "wide"],
      ["PATH", (row) => row.path ?? "", "wide"],
    ],
  }),
  tasks: listing<TaskRecord>({
    isOwn: true,
    rows: namedTasks,
    name: (row) => `task/${row.id}`,
    key: (row) => row.ref,
    columns: [
      ["ID", (row) => String(row.id)],
      ["OBJECT", (row) => row.ref ?? `${row.resourceType}/${row.resourceId}`],
      ["TYPE", (row) => row.type],
      ["STATUS", (row) => row.status],
      ["NODE", (row) => row.node],
      ["AGE", (row, now) => ago(row.startTime, now)],
      [
        "TOOK",
        (row) =>
          row.startTime === undefined || row.endTime === undefined ? "" : formatDuration(row.endTime - row.startTime),
      ],
      ["EXIT", (row) => row.exitStatus ?? ""],
      ["USER", (row) => row.user ?? "", "wide"],
      ["UPID", (row) => row.upid ?? "", "wide"],
    ],
  }),
  resources: listing<Resource>({
    isOwn: true,
    rows: async (session) => (await session.store.resources.inventory(session.clock.now())).resources,
    name: (row) => refKey(row.ref),
    columns: [
      ["NAME", (row) => refKey(row.ref)],
      ["VMID", (row) => String(row.vmid)],
      ["NODE", (row) => row.node],
      ["PHASE", (row) => row.phase],
      ["READY", (row) => conditionOf(row, "Ready")],
      ["SYNCED", (row) => conditionOf(row, "Synced")],
      ["GENERATION", (row) => String(row.generation)],
      ["PRUNE", (row) => row.prune, "wide"],
      [
        "LABELS",
        (row) =>
          Object.entries(row.labels)
            .map(([key, value]) => `${key}=${value}`)
            .join(","),
        "wide",
      ],
      ["IDENTITY", (row) => row.identity, "wide"],
      ["SOURCE", (row) => row.source, "wide"],
    ],
  }),
};

/** Tasks that others ran on a guest of the inventory are about that guest, too. */
async function namedTasks({ store, clock }: Session): Promise<readonly TaskRecord[]> {
  const { resources } = await store.resources.inventory(clock.now());
  const byVmid = new Map(resources.map((one) => [String(one.vmid), refKey(one.ref)]));
  const isGuest = (row: TaskRecord) => row.resourceType === "vm" || row.resourceType === "container";
  return (await store.tasks.list({ limit: 200 })).map((row) => {
    const ref = row.ref ?? (isGuest(row) ? byVmid.get(row.resourceId) : undefined);
    return ref === undefined ? row : { ...row, ref };
  });
}

const ALIASES: Readonly<Record<string, string>> = {
  node: "nodes",
  no: "nodes",
  vm: "vms",
  ct: "containers",
  cts: "containers",
  container: "containers",
  storages: "storage",
  task: "tasks",
  resource: "resources",
  all: "resources",
};
const WATCH_MS = 2000;

function conditionOf(row: Resource, type: string): string {
  return row.conditions.find((one) => one.type === type)?.status ?? (row.phase === "ready" ? "" : "False");
}

/** `proxmoor get`: looks at the cluster, stores what it saw and lists it; --cached lists what is stored. */
export async function get(
  [what, named]: readonly [what: string, name: string | undefined],
  options: GetOptions,
  io: Io,
): Promise<CommandResult> {
  const [kind = "", slashed] = what.split("/", 2);
  const name = slashed ?? named;
  const list = LISTINGS[ALIASES[kind] ?? kind];
  if (!list)
    throw new ProxmoorError("USAGE", `there is no list "${kind}"`, {
      remedy: `Lists are ${Object.keys(LISTINGS).join(", ")}.`,
    });
  if (options.at !== undefined && (options.watch === true || list.past === undefined))
    throw new ProxmoorError("USAGE", "--at shows nodes, vms, containers or storage of a time in the past, once", {
      remedy: "Leave --watch out; `proxmoor history` shows what changed.",
    });
  const session = await openSession(options, io);
  try {
    let last = "";
    for (;;) {
      const isPast = options.at !== undefined;
      if (list.isOwn !== true && options.cached !== true && !isPast) await look(session, io.signal);
      const rows = await select(list, { session, name, selector: options.selector, at: options.at });
      if (name !== undefined && rows.length === 0)
        throw new ProxmoorError(
          "NOT_FOUND",
          `there is no ${[what, named].filter((one) => one !== undefined).join(" ")}`,
          {
            remedy: `\`proxmoor get ${ALIASES[kind] ?? kind}\` lists what there is.`,
          },
        );
      const text = format(list, rows, { output: options.output, now: session.clock.now() });
      if (text !== last) io.out(last === "" ? text : `\n${text}`);
      last = text;
      if (options.watch !== true || io.signal.aborted) return { exitCode: 0 };
      await session.clock.sleep(WATCH_MS, io.signal).catch(() => undefined);
      if (io.signal.aborted) return { exitCode: 0 };
    }
  } finally {
    await session.close();
  }
}

async function select(
  list: Listing<unknown>,
  by: { session: Session; name: string | undefined; selector: string | undefined; at: string | undefined },
): Promise<readonly unknown[]> {
  let rows = by.at === undefined ? await list.rows(by.session) : await pastRows(list, by.session, by.at);
  if (by.name !== undefined) rows = rows.filter((row) => list.name(row).endsWith(`/${by.name ?? ""}`));
  if (by.selector === undefined) return rows;
  const wanted = parseSelector(by.selector);
  const { resources } = await by.session.store.resources.inventory(by.session.clock.now());
  const keys = new Set(
    resources.filter((one) => wanted.every((test) => test(one.labels))).map((one) => refKey(one.ref)),
  );
  return rows.filter((row) => keys.has((list.key ?? list.name)(row) ?? ""));
}

async function pastRows(list: Listing<unknown>, session: Session, at: string): Promise<readonly unknown[]> {
  const state = await session.store.history.at(timeOf(at, "--at", session.clock.now()));
  return list.past?.(state) ?? [];
}

/** `a=b`, `a==b`, `a!=b`, `a`, `!a`, joined by commas. Throws USAGE. */
function parseSelector(text: string): ((labels: Readonly<Record<string, string>>) => boolean)[] {
  return text.split(",").map((part) => {
    const match = /^(!?)([A-Za-z0-9./_-]+)(?:(!?=)=?([A-Za-z0-9._-]*))?$/.exec(part.trim());
    if (!match)
      throw new ProxmoorError("USAGE", `the selector "${part}" is not understood`, {
        remedy: "It looks like app=web,tier!=db.",
      });
    const [, not, key = "", operator, value = ""] = match;
    if (operator === undefined) return (labels) => key in labels === (not === "");
    return (labels) => (labels[key] === value) === (operator === "=");
  });
}

function format(
  list: Listing<unknown>,
  rows: readonly unknown[],
  how: { output: string | undefined; now: number },
): string {
  switch (how.output) {
    case "json":
      return `${toJson({ apiVersion: "proxmoor.dev/v1", kind: "List", items: rows })}\n`;
    case "yaml":
      return toYaml({ apiVersion: "proxmoor.dev/v1", kind: "List", items: rows });
    case "name":
      return rows.map((row) => `${list.name(row)}\n`).join("");
    case "wide":
    case undefined: {
      if (rows.length === 0) return "Nothing found.\n";
      const columns = list.columns.filter(([, , wide]) => wide === undefined || how.output === "wide");
      return formatTable(
        columns.map(([title]) => title),
        rows.map((row) => columns.map(([, cell]) => cell(row, how.now))),
      );
    }
    default:
      throw new ProxmoorError("USAGE", `there is no output "${how.output}"`, {
        remedy: "Outputs are wide, json, yaml and name.",
      });
  }
}
