interface FieldFault {
  readonly unknown?: boolean;
  readonly missing?: readonly string[];
}

/** Fields and rows of a PVE that is newer than its client. */
const NEW_FIELDS = { "future-field": { nested: [1, "two"] }, futurelist: [] };

/** An answer's data with fields that nobody knows, and without some of the known ones; the original stays as it is. */
export function changeFields(data: unknown, fault: FieldFault): unknown {
  if (Array.isArray(data)) {
    const rows = data.map((row) => changeOne(row, fault));
    return fault.unknown === true ? [...rows, ...futureRow(data)] : rows;
  }
  return changeOne(data, fault);
}

function changeOne(value: unknown, { unknown, missing = [] }: FieldFault): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const kept = Object.entries(value).filter(([name]) => !missing.includes(name));
  return { ...Object.fromEntries(kept), ...(unknown === true && NEW_FIELDS) };
}

/** Lists gain a row of a new kind: another key of a configuration, another type of resource. */
function futureRow(rows: readonly unknown[]): readonly unknown[] {
  const [first] = rows;
  if (typeof first !== "object" || first === null) return [];
  if ("key" in first) return [{ key: "future-option", value: "1", ...NEW_FIELDS }];
  return "id" in first && "type" in first && !("upid" in first)
    ? [{ id: "future/thing", type: "future", ...NEW_FIELDS }]
    : [];
}
