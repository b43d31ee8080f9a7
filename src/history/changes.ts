import type { Json } from "../model/json.js";

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
