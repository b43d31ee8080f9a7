import type { StepRequest, TaskRecord } from "../../apply/types.js";
import type { Json } from "../../model/json.js";
import type { Resource } from "../../plan/types.js";
import { table } from "./table.js";

/** A row of tasks: the record with PVE's words for the columns. */
export interface TaskRow extends Omit<TaskRecord, "node" | "log" | "request"> {
  readonly nodeId: string;
  readonly logEntries: readonly string[];
  readonly request?: StepRequest;
  /** Planned by Proxmoor; false for tasks that others ran in PVE. */
  readonly own: boolean;
  /** What lists are sorted by: the start, before it the planning. */
  readonly listedAt: number;
}

export const tasks = table<TaskRow>(
  "tasks",
  {
    id: "int serial",
    upid: "text?",
    nodeId: "text",
    type: "text",
    status: "text",
    resourceType: "text",
    resourceId: "text",
    user: "text?",
    startTime: "time?",
    endTime: "time?",
    exitStatus: "text?",
    logEntries: "json",
    own: "bool",
    listedAt: "time",
    run: "text?",
    step: "int?",
    ref: "text?",
    generation: "int?",
    fingerprint: "text?",
    request: "json?",
  },
  {
    indexes: [
      { columns: ["upid"], unique: true },
      { columns: ["nodeId"] },
      { columns: ["status", "own"] },
      { columns: ["resourceType", "resourceId"] },
      { columns: ["listedAt", "id"] },
      { columns: ["endTime"] },
      { columns: ["run"] },
      { columns: ["ref"] },
      { columns: ["user"] },
    ],
    foreignKeys: [{ column: "nodeId", table: "nodes", references: "id", onDelete: "NO ACTION" }],
  },
);

/** A row of the inventory. `node` is no foreign key: a manifest may name a node that was never seen. */
export interface ResourceRow extends Omit<Resource, "ref"> {
  /** refKey */
  readonly ref: string;
  readonly kind: string;
  readonly name: string;
}

export const resources = table<ResourceRow>(
  "resources",
  {
    ref: "text key",
    kind: "text",
    name: "text",
    vmid: "int",
    node: "text",
    identity: "text",
    phase: "text",
    lastApplied: "json",
    labels: "json",
    source: "text",
    prune: "text",
    generation: "int",
    observedGeneration: "int",
    conditions: "json",
  },
  {
    indexes: [
      { columns: ["vmid"], unique: true },
      { columns: ["kind", "name"] },
      { columns: ["node"] },
      { columns: ["source"] },
      { columns: ["phase"] },
    ],
  },
);

export interface LabelRow {
  /** refKey */
  readonly ref: string;
  readonly key: string;
  readonly value: string;
}

/** Labels of the inventory once more, to find guests by them. */
export const resourceLabels = table<LabelRow>(
  "resource_labels",
  { ref: "text key", key: "text key", value: "text" },
  {
    indexes: [{ columns: ["key", "value"] }],
    foreignKeys: [{ column: "ref", table: "resources", references: "ref", onDelete: "CASCADE" }],
  },
);

/** A time the store remembers. */
export interface MarkRow {
  readonly name: "history since";
  readonly time: number;
}

export const marks = table<MarkRow>("marks", { name: "text key", time: "time" });

/** A vmid that was freed and is not given out again before `until`. */
export interface QuarantineRow {
  readonly vmid: number;
  readonly ref: string;
  readonly until: number;
}

export const vmidQuarantine = table<QuarantineRow>(
  "vmid_quarantine",
  { vmid: "int key", ref: "text", until: "time" },
  { indexes: [{ columns: ["until"] }] },
);

export interface EventRow {
  readonly id: number;
  readonly firstTime: number;
  readonly time: number;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  readonly ref?: string;
  readonly count: number;
}

export const events = table<EventRow>(
  "events",
  {
    id: "int serial",
    firstTime: "time",
    time: "time",
    type: "text",
    reason: "text",
    message: "text",
    ref: "text?",
    count: "int",
  },
  { indexes: [{ columns: ["ref", "time"] }, { columns: ["time"] }, { columns: ["reason"] }] },
);

/** A lease. The row stays when the lease is released, so that tokens only grow. */
export interface LeaseRow {
  readonly name: string;
  readonly holder?: string;
  readonly token: number;
  readonly expiresAt: number;
}

export const leases = table<LeaseRow>("leases", {
  name: "text key",
  holder: "text?",
  token: "int",
  expiresAt: "time",
});

export interface RevisionRow {
  readonly id: number;
  readonly source: string;
  readonly digest: string;
  readonly commit?: string;
  readonly guests: Json;
  readonly recordedAt: number;
}

export const manifestRevisions = table<RevisionRow>(
  "manifest_revisions",
  { id: "int serial", source: "text", digest: "text", commit: "text?", guests: "json", recordedAt: "time" },
  { indexes: [{ columns: ["source", "id"] }, { columns: ["recordedAt"] }] },
);
