import { refKey } from "../model/ref.js";
import type { Change } from "./types.js";

/**
 * Orders changes so that each comes behind those it is `after`, otherwise as given. Members of a cycle of `dependsOn`
 * come back as `blocked`, naming the cycle. An `after` that names nothing in the plan is dropped: it exists or is
 * declared elsewhere.
 */
export function orderChanges(changes: readonly Change[]): Change[] {
  const byKey = new Map(changes.map((one) => [refKey(one.ref), one]));
  const done = new Map<string, "open" | "done">();
  const ordered: Change[] = [];
  const cyclic = new Map<string, string>();

  function visit(change: Change, trail: readonly string[]): void {
    const key = refKey(change.ref);
    const state = done.get(key);
    if (state === "done") return;
    if (state === "open") {
      const cycle = [...trail.slice(trail.indexOf(key)), key];
      for (const member of cycle) cyclic.set(member, cycle.join(" → "));
      return;
    }
    done.set(key, "open");
    for (const before of change.after) {
      const other = byKey.get(before);
      if (other) visit(other, [...trail, key]);
    }
    done.set(key, "done");
    ordered.push({ ...change, after: change.after.filter((one) => byKey.has(one)) });
  }
  for (const change of changes) visit(change, []);
  return ordered.map((change) => {
    const cycle = cyclic.get(refKey(change.ref));
    if (cycle === undefined) return change;
    const { reason: _reason, ...rest } = change;
    return {
      ...rest,
      action: "blocked",
      steps: [],
      after: [],
      reason: `dependsOn goes in a circle: ${cycle}`,
      remedy: "Take one of them out.",
    };
  });
}
