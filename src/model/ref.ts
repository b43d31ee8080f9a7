/** The kinds of objects a manifest can declare. */
export type Kind = "VirtualMachine" | "Container";

/** Names an object the way manifests do: a kind and a name, unique together. */
export interface Ref {
  readonly kind: Kind;
  readonly name: string;
}

const SHORT: Record<Kind, string> = { VirtualMachine: "vm", Container: "ct" };
// a map: `constructor/x` must find nothing
const LONG = new Map<string, Kind>([
  ["vm", "VirtualMachine"],
  ["virtualmachine", "VirtualMachine"],
  ["qemu", "VirtualMachine"],
  ["ct", "Container"],
  ["container", "Container"],
  ["lxc", "Container"],
]);

/** `vm/web-01` or `ct/db-01`: how a ref is printed and how it is a key. */
export function refKey(ref: Ref): string {
  return `${SHORT[ref.kind]}/${ref.name}`;
}

/** Reads `vm/web-01`, `ct/db-01` (also `container/…`, `virtualmachine/…`, any case); undefined where it is no ref. */
export function parseRef(text: string): Ref | undefined {
  const slash = text.indexOf("/");
  const kind = LONG.get(text.slice(0, slash).toLowerCase());
  const name = text.slice(slash + 1);
  return slash > 0 && kind !== undefined && name !== "" ? { kind, name } : undefined;
}

/** Orders refs the same way everywhere: by kind (`ct` before `vm`), then by name. */
export function compareRefs(a: Ref, b: Ref): number {
  const [x, y] = [refKey(a), refKey(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}
