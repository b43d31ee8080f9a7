import { isAlias, isMap, isScalar, isSeq } from "yaml";
import type { Alias, Node, Pair, YAMLMap } from "yaml";
import type { Path } from "./types.js";

/**
 * How many values aliases and merge keys may add in one file. Two hundred guests that share forty fields need 8,000;
 * nine levels of nine aliases ("billion laughs") would be 400 million.
 */
export const MAX_EXPANDED = 100_000;

export interface NodeFault {
  readonly offset: number;
  readonly message: string;
}

/** What is left of the file's allowance for expanded aliases. */
export interface Budget {
  expanded: number;
}

type Items = Map<string, Pair<Node, Node | null>>;

/**
 * Turns one YAML document into plain data. The library's own toJS is not used: it counts uses of an alias instead of
 * what they expand to, finds double keys in quadratic time and forgets the places.
 */
export class Converter {
  readonly faults: NodeFault[] = [];
  /** True when a part of the value could not be made, so that validating it would report what nobody wrote. */
  damaged = false;
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Alias, Node>();
  readonly #items = new Map<YAMLMap, Items>();
  readonly #values = new Map<Node, unknown>();
  readonly #sizes = new Map<Node, number>();
  readonly #open = new Set<Node>();
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  convert(node: Node | null): unknown {
    if (node === null) return null;
    if (isAlias(node)) return this.#alias(node);
    if (node.anchor) this.#anchors.set(node.anchor, node);
    this.#open.add(node);
    const value = this.#plain(node);
    this.#open.delete(node);
    this.#values.set(node, value);
    return value;
  }

  #plain(node: Node): unknown {
    if (isScalar(node)) return node.value;
    let size = 1;
    let value: unknown = null;
    if (isSeq<Node>(node)) {
      value = node.items.map((item) => this.convert(item));
      for (const item of node.items) size += this.#size(item);
    } else if (isMap<Node, Node | null>(node)) {
      value = this.#map(node);
      for (const pair of node.items) size += this.#size(pair.value);
    }
    this.#sizes.set(node, size);
    return value;
  }

  #size(node: Node | null): number {
    const target = node !== null && isAlias(node) ? this.#targets.get(node) : node;
    return target === null || target === undefined ? 1 : (this.#sizes.get(target) ?? 1);
  }

  #map(map: YAMLMap<Node, Node | null>): Record<string, unknown> {
    const items: Items = new Map();
    const merged: Items = new Map();
    const result: Record<string, unknown> = {};
    for (const pair of map.items) {
      if (isMergeKey(pair.key)) {
        this.#merge(pair, merged);
        continue;
      }
      const key = this.#key(pair);
      const value = this.convert(pair.value);
      if (key === undefined) continue;
      if (items.has(key)) {
        const message = `the key ${show(key)} is there twice; a key is allowed once in a map`;
        this.faults.push({ offset: offsetOf(pair.key), message });
        continue;
      }
      items.set(key, pair);
      put(result, key, value);
    }
    for (const [key, pair] of merged) {
      if (items.has(key)) continue;
      items.set(key, pair);
      put(result, key, pair.value === null ? null : this.#valueOf(pair.value));
    }
    this.#items.set(map, items);
    return result;
  }

  #valueOf(node: Node): unknown {
    return this.#values.get(this.#follow(node) ?? node);
  }

  #key(pair: Pair<Node, Node | null>): string | undefined {
    const node = isAlias(pair.key) ? this.#follow(pair.key) : pair.key;
    if (isAlias(pair.key) && node === undefined) this.#alias(pair.key);
    if (isScalar(node)) {
      if (node.anchor) this.#anchors.set(node.anchor, node);
      this.#values.set(node, node.value);
      if (typeof node.value === "string") return node.value;
      // 010 or 1.0 as a key keeps the way it is written
      if (node.value !== null) return node.source ?? JSON.stringify(node.value);
    }
    this.faults.push({ offset: offsetOf(pair.key), message: "a key must be text; put it in quotes if it is" });
    return undefined;
  }

  /** YAML 1.1's merge key: what is in the map itself wins, then the earlier of several. */
  #merge(pair: Pair<Node, Node | null>, into: Items): void {
    this.convert(pair.value);
    const value = pair.value === null ? undefined : this.#follow(pair.value);
    const sources = isSeq<Node>(value) ? value.items : [pair.value];
    for (const source of sources) {
      const map = source === null ? undefined : this.#follow(source);
      if (source !== null && map === undefined) continue;
      const items = isMap(map) ? this.#items.get(map) : undefined;
      if (items === undefined) {
        this.#fault(source ?? pair.key, "<< merges a map or a list of maps, this is neither");
        continue;
      }
      for (const [key, item] of items) if (!into.has(key)) into.set(key, item);
    }
  }

  #alias(alias: Alias): unknown {
    const target = this.#anchors.get(alias.source);
    if (target === undefined) {
      const known = [...this.#anchors.keys()].slice(0, 10).map((name) => `&${name}`);
      const allowed = known.length > 0 ? `defined before it: ${known.join(", ")}` : "none is defined before it";
      this.#fault(alias, `*${alias.source} names an anchor that is not there; ${allowed}`);
      return null;
    }
    this.#targets.set(alias, target);
    if (this.#open.has(target)) {
      this.#fault(alias, `*${alias.source} stands inside what it names; a value can't contain itself`);
      return null;
    }
    const size = this.#sizes.get(target) ?? 1;
    const within = this.#budget.expanded <= MAX_EXPANDED;
    this.#budget.expanded += size;
    if (within && this.#budget.expanded > MAX_EXPANDED) {
      this.#fault(alias, `*${alias.source} makes the aliases of this file expand to more than ${MAX_EXPANDED} values`);
    }
    return this.#values.get(target);
  }

  /** The node an alias stands for; the node itself otherwise; undefined where there is none or it is circular. */
  #follow(node: Node): Node | undefined {
    if (!isAlias(node)) return node;
    const target = this.#targets.get(node) ?? this.#anchors.get(node.source);
    return target === undefined || this.#open.has(target) ? undefined : target;
  }

  #fault(node: Node, message: string): void {
    this.damaged = true;
    this.faults.push({ offset: offsetOf(node), message });
  }

  /** The offset of the value at a path below `root`, or of its key; of the nearest one above where it is not there. */
  offsetOf(root: Node | null, path: Path, part: "key" | "value"): number | undefined {
    let node: Node | null | undefined = root;
    let offset = root?.range?.[0];
    for (const [index, step] of path.entries()) {
      const holder: Node | undefined = node ? this.#follow(node) : undefined;
      const last = index === path.length - 1;
      if (isSeq<Node>(holder)) {
        node = holder.items[Number(step)];
      } else if (isMap(holder)) {
        const pair: Pair<Node, Node | null> | undefined = this.#items.get(holder)?.get(String(step));
        node = pair?.value;
        if (pair && (last ? part === "key" : !node)) return pair.key.range?.[0] ?? offset;
      } else return offset;
      if (!node) return offset;
      offset = node.range?.[0] ?? offset;
    }
    return offset;
  }
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function isMergeKey(key: Node): boolean {
  return isScalar(key) && key.value === "<<" && key.type === "PLAIN";
}

/** `__proto__` in a manifest is a key like any other. */
function put(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

function show(key: string): string {
  return JSON.stringify(key.length > 60 ? `${key.slice(0, 57)}…` : key);
}
