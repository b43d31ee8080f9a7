import { refKey } from "../model/ref.js";
import type { Change } from "./types.js";

/**
 * Orders changes so that each comes behind those it is `after`, otherwise as given. Members of a cycle of `dependsOn`
 * come back as `blocked`, naming the cycle; what waits for a blocked change says so. An `after` that names nothing in
 * the plan is dropped: it exists or is declared elsewhere.
 */
export function orderChanges(changes: readonly Change[]): Change[] {
  const byKey = new Map(changes.map((one) => [refKey(one.ref), one]));
  const state = new Map<string, "open" | "done">();
  const ordered: Change[] = [];
  const cyclic = new Map<string, string>();
  for (const change of changes) visit(change);
  return noteWaiting(ordered.map((change) => withoutCycle(change, cyclic.get(refKey(change.ref)))));

  // without recursion: a chain of ten thousand guests is unusual but no reason to crash
  function visit(first: Change): void {
    const trail: string[] = [];
    const work: { change: Change; leaves: boolean }[] = [{ change: first, leaves: false }];
    for (let step = work.pop(); step !== undefined; step = work.pop()) {
      const { change, leaves } = step;
      const key = refKey(change.ref);
      if (leaves) {
        trail.pop();
        state.set(key, "done");
        ordered.push({ ...change, after: change.after.filter((one) => byKey.has(one)) });
      } else if (state.get(key) === "open") {
        const cycle = [...trail.slice(trail.indexOf(key)), key];
        for (const member of cycle) cyclic.set(member, cycle.join(" → "));
      } else if (!state.has(key)) {
        state.set(key, "open");
        trail.push(key);
        work.push({ change, leaves: true });
        const before = change.after.flatMap((one) => byKey.get(one) ?? []);
        work.push(...before.reverse().map((other) => ({ change: other, leaves: false })));
      }
    }
  }
}

function withoutCycle(change: Change, cycle: string | undefined): Change {
  if (cycle === undefined) return change;
  const { power: _power, ...rest } = change;
  return {
    ...rest,
    action: "blocked",
    steps: [],
    disruptions: [],
    after: [],
    fingerprint: "blocked",
    reason: `dependsOn goes in a circle: ${cycle}`,
    remedy: "Take one of them out.",
  };
}

/** apply skips what waits for something that is not done: the plan says so beforehand. */
function noteWaiting(ordered: readonly Change[]): Change[] {
  const stuck = new Set<string>();
  return ordered.map((change) => {
    const key = refKey(change.ref);
    if (change.action === "blocked") stuck.add(key);
    const waitsFor = change.after.filter((one) => stuck.has(one));
    if (waitsFor.length === 0 || change.action === "blocked" || change.action === "keep") return change;
    stuck.add(key);
    return { ...change, notes: [...change.notes, `is not done before ${waitsFor.join(", ")}`] };
  });
}
