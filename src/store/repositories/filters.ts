import { ProxmoorError } from "../../model/errors.js";
import type { Provider } from "../entities/table.js";
import type { Query } from "../rows.js";
import type { Filter } from "./types.js";

/** A condition on the table `t`, with its parameters. */
type Condition = readonly [sql: string, parameters: Readonly<Record<string, unknown>>];

/** How a table is filtered: one condition for each field of the filter that it knows. */
export type Conditions<F extends keyof Filter> = {
  readonly [K in F]: (value: NonNullable<Filter[K]>, provider: Provider) => Condition;
};

/** Adds what the filter says. */
export function applyFilter<F extends keyof Filter>(
  query: Query,
  filter: Pick<Filter, F>,
  how: { readonly conditions: Conditions<F>; readonly provider: Provider },
): Query {
  for (const field of Object.keys(how.conditions) as F[]) {
    const value = filter[field];
    if (value === undefined) continue;
    const condition = how.conditions[field] as (value: unknown, provider: Provider) => Condition;
    const [sql, parameters] = condition(value, how.provider);
    query.andWhere(sql, parameters);
  }
  return query;
}

/** `t.PROPERTY = :value`. */
export const equals =
  (property: string) =>
  (value: string): Condition => [`t.${property} = :${property}`, { [property]: value }];

/** Times of `property`, from and up to. */
export function between(property: string) {
  return {
    since: (time: number): Condition => [`t.${property} >= :since`, { since: time }],
    until: (time: number): Condition => [`t.${property} < :until`, { until: time }],
  };
}

/** `web-*`: GLOB in SQLite, LIKE in PostgreSQL, both with case, both by the index for what is before the first star. */
export const pattern =
  (property: string) =>
  (value: string, provider: Provider): Condition => {
    if (!/[*?]/.test(value)) return equals(property)(value);
    if (provider === "sqlite") return [`t.${property} GLOB :pattern`, { pattern: value.replaceAll("[", "[[]") }];
    const like = value
      .replace(/[\\%_]/g, "\\$&")
      .replaceAll("*", "%")
      .replaceAll("?", "_");
    return [`t.${property} LIKE :pattern`, { pattern: like }];
  };

/** Guests with a tag, by the side table. */
export const tagged =
  (table: string, key: string) =>
  (tag: string): Condition => [`t.id IN (SELECT g.${key} FROM ${table} g WHERE g.tag = :tag)`, { tag }];

/** Guests of the inventory with a label: `key=value` or `key`. Throws USAGE. */
export const labelled =
  (kind: string) =>
  (label: string): Condition => {
    const match = /^([^=!]+)(?:=(.*))?$/.exec(label);
    if (match?.[1] === undefined) {
      throw new ProxmoorError("USAGE", `the label "${label}" is not understood`, { remedy: "It looks like app=web." });
    }
    const value = match[2] === undefined ? "" : " AND l.value = :labelValue";
    const from = "resource_labels l JOIN resources r ON r.ref = l.ref";
    const sql = `t.id IN (SELECT r.vmid FROM ${from} WHERE r.kind = :labelKind AND l.key = :labelKey${value})`;
    return [sql, { labelKind: kind, labelKey: match[1], labelValue: match[2] }];
  };
