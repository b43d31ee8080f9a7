import { refKey } from "../model/ref.js";
import { formatPlace } from "../model/fault.js";
import type { Fault } from "../model/fault.js";
import type { ManifestDocument, Path } from "../manifests/index.js";
import type { DesiredGuest } from "./types.js";

/** A guest with the document it was declared in. */
export interface Declared {
  readonly guest: DesiredGuest;
  readonly document: ManifestDocument;
}

/** What can only be seen by looking at all guests together: double names, double vmids, circles of dependsOn. */
export function checkAcross(declared: readonly Declared[]): { faults: Fault[]; wrong: Set<DesiredGuest> } {
  const wrong = new Set<DesiredGuest>();
  const names = duplicates(declared, wrong, ["metadata", "name"], ({ guest }) => refKey(guest.ref));
  const vmids = duplicates(declared, wrong, ["spec", "vmid"], ({ guest }) => guest.vmid?.toString());
  return { faults: [...names, ...vmids, ...circles(declared, wrong)], wrong };
}

/** One fault for every object but the first with the same key, naming the place of the first. */
function duplicates(
  declared: readonly Declared[],
  wrong: Set<DesiredGuest>,
  path: Path,
  keyOf: (declared: Declared) => string | undefined,
): Fault[] {
  const first = new Map<string, Declared>();
  const faults: Fault[] = [];
  for (const item of declared) {
    const key = keyOf(item);
    if (key === undefined) continue;
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, item);
      continue;
    }
    wrong.add(item.guest).add(other.guest);
    const place = formatPlace(other.document.at(path));
    const message =
      path[0] === "spec"
        ? `vmid ${key} is that of ${refKey(other.guest.ref)} (${place}) too; a vmid is allowed once, for both kinds`
        : `${key} is declared twice, first at ${place}; a name is allowed once per kind`;
    faults.push({ code: "MANIFEST_DUPLICATE", place: item.document.at(path), message });
  }
  return faults;
}

/** One fault for each circle of guests that wait for each other. */
function circles(declared: readonly Declared[], wrong: Set<DesiredGuest>): Fault[] {
  const byKey = new Map(declared.map((item) => [refKey(item.guest.ref), item]));
  const done = new Set<string>();
  const faults: Fault[] = [];
  for (const start of byKey.keys()) {
    for (const circle of circlesFrom(start, byKey, done)) {
      const items = circle.flatMap((key) => byKey.get(key) ?? []);
      for (const { guest } of items) wrong.add(guest);
      const names = [...circle, circle[0]].join(" → ");
      const place = items[0]?.document.at(["spec", "dependsOn"], "key");
      if (place) faults.push({ code: "MANIFEST_INVALID", place, message: `dependsOn goes in a circle: ${names}` });
    }
  }
  return faults;
}

/** Depth first without recursion: a chain of ten thousand guests is unusual but no reason to crash. */
function* circlesFrom(start: string, byKey: ReadonlyMap<string, Declared>, done: Set<string>): Generator<string[]> {
  const trail: string[] = [];
  const work: { key: string; leave: boolean }[] = [{ key: start, leave: false }];
  const onTrail = new Set<string>();
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    const { key, leave } = step;
    if (leave) {
      trail.pop();
      onTrail.delete(key);
      done.add(key);
    } else if (onTrail.has(key)) {
      const circle = trail.slice(trail.indexOf(key));
      if (circle.length > 1) yield circle;
    } else if (!done.has(key)) {
      trail.push(key);
      onTrail.add(key);
      work.push({ key, leave: true });
      const next = byKey.get(key)?.guest.dependsOn ?? [];
      work.push(...next.map(refKey).map((other) => ({ key: other, leave: false })));
    }
  }
}
