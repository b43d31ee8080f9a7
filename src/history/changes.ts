import type { Json } from "../model/json.js";
import type { ClusterState, FieldChange, ResourceName, ResourceType } from "./types.js";

/** Fields that move by themselves: they are stored, but make no snapshot. */
const COUNTERS: ReadonlySet<string> = new Set([
  "cpuUsage",
  "memoryUsage",
  "swapUsage",
  "diskUsage",
  "networkIn",
  "networkOut",
  "uptime",
  "pid",
  // What a storage holds; of ZFS and thin pools the total moves as well.
  "totalBytes",
  "usedBytes",
  "availableBytes",
]);
/** What a row has beyond what is said of the object. */
const IGNORED: ReadonlySet<string> = new Set(["lastSeen", "createdAt", "updatedAt", "observedHash"]);

export interface Difference {
  /** Paths of what changed, sorted: `status`, `config.memory`. */
  readonly paths: readonly string[];
  readonly counters: boolean;
}

/** Compares two records of one table, but for when they were seen. */
export function difference(before: object, after: object): Difference {
  const a = before as Readonly<Record<string, unknown>>;
  const b = after as Readonly<Record<string, unknown>>;
  const fields = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((field) => !IGNORED.has(field));
  const changed = fields.filter((field) => !same(a[field], b[field]));
  const paths = changed.filter((field) => !COUNTERS.has(field)).flatMap((field) => deeper(field, a[field], b[field]));
  return { paths: paths.sort(), counters: changed.some((field) => COUNTERS.has(field)) };
}

/** The keys of a config that changed, or the field itself. */
function deeper(field: string, a: unknown, b: unknown): string[] {
  if (!isMap(a) || !isMap(b)) return [field];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.filter((key) => !same(a[key], b[key])).map((key) => `${field}.${key}`);
}

/** Equality of what JSON columns hold; the order of keys does not count, as in JSON. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isMap(a) || !isMap(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A record as a snapshot keeps it. 64-bit figures are decimal text: JSON numbers lose them in many readers. */
export function snapshotData(record: object): Json {
  const text = JSON.stringify(record, (key, value: unknown) => {
    if (key === "createdAt" || key === "updatedAt" || key === "observedHash") return undefined;
    return typeof value === "bigint" ? value.toString() : value;
  });
  return JSON.parse(text) as Json;
}

/** A record without what moves by itself: what can be said of a time in the past. */
export function withoutFigures<T extends object>(record: T): T {
  return Object.fromEntries(
    Object.entries(record).filter(([field]) => !COUNTERS.has(field) && !IGNORED.has(field)),
  ) as T;
}

/** The values at the paths before and after. */
export function fieldChanges(paths: readonly string[], before: Json | undefined, after: Json): FieldChange[] {
  return paths.map((path) => {
    const [from, to] = [valueAt(before, path), valueAt(after, path)];
    return { path, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  });
}

/** Only the first dot parts: keys of configurations may have dots. */
function valueAt(data: Json | undefined, path: string): Json | undefined {
  const dot = path.indexOf(".");
  const [field, key] = dot < 0 ? [path, undefined] : [path.slice(0, dot), path.slice(dot + 1)];
  const value = isMap(data) ? data[field] : undefined;
  return key === undefined ? value : isMap(value) ? value[key] : undefined;
}

/** One object that is not the same at two times. */
export interface StateChange extends ResourceName {
  readonly change: "created" | "updated" | "deleted";
  readonly fields: readonly FieldChange[];
}

/** What is different between two states of the cluster, by type and id; and how much is not. */
export function compareStates(
  before: ClusterState,
  after: ClusterState,
): { readonly changes: readonly StateChange[]; readonly unchanged: number } {
  const parts = [
    compareRecords("node", before.nodes, after.nodes),
    compareRecords("storage", before.storages, after.storages),
    compareRecords("vm", before.vms, after.vms),
    compareRecords("container", before.containers, after.containers),
  ];
  return {
    changes: parts.flatMap((part) => part.changes),
    unchanged: parts.reduce((sum, part) => sum + part.unchanged, 0),
  };
}

interface AnyRecord {
  readonly id: string | number;
  readonly name?: string;
}

function compareRecords(
  type: ResourceType,
  before: readonly AnyRecord[],
  after: readonly AnyRecord[],
): { changes: StateChange[]; unchanged: number } {
  const old = new Map(before.map((record) => [record.id, record]));
  const now = new Map(after.map((record) => [record.id, record]));
  const ids = [...new Set([...old.keys(), ...now.keys()])].sort((a, b) => (a < b ? -1 : 1));
  const changes: StateChange[] = [];
  for (const id of ids) {
    const [a, b] = [old.get(id), now.get(id)];
    const name = b?.name ?? a?.name;
    const subject = { type, id: String(id), ...(name === undefined ? {} : { name }) };
    if (a === undefined || b === undefined) {
      changes.push({ ...subject, change: a === undefined ? "created" : "deleted", fields: [] });
      continue;
    }
    const { paths } = difference(a, b);
    if (paths.length === 0) continue;
    changes.push({ ...subject, change: "updated", fields: fieldChanges(paths, snapshotData(a), snapshotData(b)) });
  }
  return { changes, unchanged: ids.length - changes.length };
}
