import type { TaskRecord } from "../../apply/types.js";
import type { SnapshotRecord } from "../../history/types.js";
import { containers, nodes, nodeStorage, stateSnapshots, storage, vms } from "../entities/cluster.js";
import type { ContainerRow, VmRow } from "../entities/cluster.js";
import type { Units } from "../database.js";
import { tasks } from "../entities/control.js";
import type { TaskRow } from "../entities/control.js";
import type { Stamps, Table } from "../entities/table.js";
import { findAll, unstamped } from "../rows.js";
import type { Query, Tx } from "../rows.js";
import { CONTAINERS, VMS } from "../sync-guests.js";
import { toTaskRecord } from "../task-log.js";
import { between, equals, labelled, pattern, tagged } from "./filters.js";
import { SqlRepository, asIs } from "./repository.js";
import type { Relation, RepositorySpec } from "./repository.js";
import type {
  ContainerTypes,
  NodeTypes,
  Repositories,
  SnapshotTypes,
  StorageTypes,
  TaskTypes,
  VmTypes,
} from "./types.js";

/** The repositories over one database, or over one unit of work. */
export function repositoriesOf(work: Units): Repositories {
  return {
    nodes: new SqlRepository(work, NODES),
    vms: new SqlRepository(work, VM_SPEC),
    containers: new SqlRepository(work, CONTAINER_SPEC),
    storage: new SqlRepository(work, STORAGE),
    tasks: new SqlRepository(work, TASKS),
    snapshots: new SqlRepository(work, SNAPSHOTS),
  };
}

interface Related<T, R, Row> {
  readonly table: Table<Row>;
  /** What of a record is looked for; undefined: it has none. */
  readonly from: (record: T) => string | number | undefined;
  /** The property of the rows where it is looked for. */
  readonly in: keyof Row & string;
  readonly and?: (query: Query) => Query;
  readonly toRecord: (row: Row & Stamps) => R;
}

/** Rows whose property is what records have: one statement for all of them. */
function relation<T extends { readonly id: string | number | bigint }, R, Row>(
  how: Related<T, R, Row>,
): Relation<T, R> {
  return async (tx: Tx, records) => {
    const wanted = [...new Set(records.map(how.from).filter((value) => value !== undefined))];
    if (wanted.length === 0) return new Map();
    const rows = await findAll(tx, how.table, (query) => {
      query.where(`t.${how.in} IN (:...wanted)`, { wanted }).orderBy(`t.${how.in}`);
      return how.and?.(query) ?? query;
    });
    const found = new Map<unknown, R[]>();
    for (const row of rows) found.set(row[how.in], [...(found.get(row[how.in]) ?? []), how.toRecord(row)]);
    return new Map(records.map((record) => [String(record.id), found.get(how.from(record)) ?? []]));
  };
}

type Named = { readonly id: string | number };

function snapshotsOf(type: string): Relation<Named, SnapshotRecord> {
  return relation({
    table: stateSnapshots,
    from: (record: Named) => String(record.id),
    in: "resourceId",
    and: (query) => query.andWhere("t.resourceType = :type", { type }).addOrderBy("t.id"),
    toRecord: unstamped<SnapshotRecord>,
  });
}

function tasksOf(type: string): Relation<Named, TaskRecord> {
  return relation({
    table: tasks,
    from: (record: Named) => String(record.id),
    in: "resourceId",
    and: (query) => query.andWhere("t.resourceType = :type", { type }).addOrderBy("t.id"),
    toRecord: toTaskRecord,
  });
}

const nodeOf = <T extends { readonly id: string | number | bigint }>(from: (record: T) => string) =>
  relation({ table: nodes, from, in: "id", toRecord: asIs.toRecord });

/** Through the side table of the many-to-many relation. */
const storageOfNodes: NodeRelation = async (tx, records) => {
  const pairs = await findAll(tx, nodeStorage, (q) =>
    q.where("t.nodeId IN (:...ids)", { ids: records.map((node) => node.id) }),
  );
  if (pairs.length === 0) return new Map();
  const ids = [...new Set(pairs.map((pair) => pair.storageId))];
  const rows = await findAll(tx, storage, (q) => q.where("t.id IN (:...ids)", { ids }));
  const byId = new Map(rows.map((row) => [row.id, asIs.toRecord(row)]));
  return new Map(
    records.map(({ id }) => [
      id,
      pairs.filter((pair) => pair.nodeId === id).flatMap((pair) => byId.get(pair.storageId) ?? []),
    ]),
  );
};
type NodeRelation = Relation<NodeTypes["record"], StorageTypes["record"]>;

const nodesOfStorage: Relation<StorageTypes["record"], NodeTypes["record"]> = async (tx, records) => {
  const ids = [...new Set(records.flatMap((record) => record.nodes))];
  const rows = ids.length === 0 ? [] : await findAll(tx, nodes, (q) => q.where("t.id IN (:...ids)", { ids }));
  const byId = new Map(rows.map((row) => [row.id, asIs.toRecord(row)]));
  return new Map(records.map((record) => [record.id, record.nodes.flatMap((id) => byId.get(id) ?? [])]));
};

const NODES: RepositorySpec<NodeTypes, NodeTypes["record"]> = {
  noun: "node",
  table: nodes,
  conditions: { status: equals("status"), name: pattern("id"), ...between("lastSeen") },
  groups: { status: { by: "t.status" } },
  relations: {
    vms: relation({ table: vms, from: (node) => node.id, in: "nodeId", toRecord: asIs.toRecord<VmRow> }),
    containers: relation({
      table: containers,
      from: (node) => node.id,
      in: "nodeId",
      toRecord: asIs.toRecord<ContainerRow>,
    }),
    storage: storageOfNodes,
    tasks: relation({ table: tasks, from: (node) => node.id, in: "nodeId", toRecord: toTaskRecord }),
  },
  ...asIs,
};

const guestGroups = (table: string, key: string) => ({
  status: { by: "t.status" },
  node: { by: "t.nodeId" },
  pool: { by: "t.pool" },
  tag: { by: "g.tag", join: [table, `g.${key} = t.id`] as const },
});

const VM_SPEC: RepositorySpec<VmTypes, VmRow> = {
  noun: "VM",
  table: vms,
  conditions: {
    status: equals("status"),
    node: equals("nodeId"),
    name: pattern("name"),
    tag: tagged("vm_tags", "vm_id"),
    label: labelled("VirtualMachine"),
    ...between("lastSeen"),
  },
  groups: guestGroups("vm_tags", "vmId"),
  relations: { node: nodeOf((vm) => vm.nodeId), tasks: tasksOf("vm"), snapshots: snapshotsOf("vm") },
  written: VMS.writeTags,
  ...asIs,
};

const CONTAINER_SPEC: RepositorySpec<ContainerTypes, ContainerRow> = {
  noun: "container",
  table: containers,
  conditions: {
    status: equals("status"),
    node: equals("nodeId"),
    name: pattern("name"),
    tag: tagged("container_tags", "container_id"),
    label: labelled("Container"),
    ...between("lastSeen"),
  },
  groups: guestGroups("container_tags", "containerId"),
  relations: { node: nodeOf((ct) => ct.nodeId), tasks: tasksOf("container"), snapshots: snapshotsOf("container") },
  written: CONTAINERS.writeTags,
  ...asIs,
};

const STORAGE: RepositorySpec<StorageTypes, StorageTypes["record"]> = {
  noun: "storage",
  table: storage,
  conditions: {
    name: pattern("id"),
    node: (node) => ["t.id IN (SELECT g.storage_id FROM node_storage g WHERE g.node_id = :node)", { node }],
    ...between("lastSeen"),
  },
  groups: { type: { by: "t.type" } },
  relations: { nodes: nodesOfStorage, snapshots: snapshotsOf("storage") },
  ...asIs,
};

const TASKS: RepositorySpec<TaskTypes, TaskRow> = {
  noun: "task",
  table: tasks,
  conditions: {
    status: equals("status"),
    node: equals("nodeId"),
    resourceType: equals("resourceType"),
    resourceId: equals("resourceId"),
    ...between("listedAt"),
  },
  groups: {
    status: { by: "t.status" },
    node: { by: "t.nodeId" },
    type: { by: "t.type" },
    user: { by: "t.user" },
  },
  relations: {
    node: nodeOf((task) => task.node),
    snapshots: relation({
      table: stateSnapshots,
      from: (task) => task.id,
      in: "taskId",
      toRecord: unstamped<SnapshotRecord>,
    }),
  },
  toRow: ({ node, log, ...task }, now) => ({
    ...task,
    nodeId: node,
    logEntries: log,
    // Only the steps of a run are ours to finish after a crash.
    own: task.run !== undefined,
    listedAt: task.startTime ?? now,
  }),
  toRecord: toTaskRecord,
};

const SNAPSHOTS: RepositorySpec<SnapshotTypes, SnapshotRecord> = {
  noun: "snapshot",
  table: stateSnapshots,
  conditions: {
    status: equals("changeType"),
    resourceType: equals("resourceType"),
    resourceId: equals("resourceId"),
    ...between("snapshotTime"),
  },
  groups: { status: { by: "t.changeType" }, resourceType: { by: "t.resourceType" } },
  relations: {
    task: relation({ table: tasks, from: (row) => row.taskId, in: "id", toRecord: toTaskRecord }),
  },
  ...asIs,
};
