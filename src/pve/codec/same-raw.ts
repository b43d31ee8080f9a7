import type { Kind } from "../../model/ref.js";
import { PropertyString } from "./property-string.js";
import { specOf } from "./decode.js";
import { readBoolean } from "./values.js";

/** The default keys of property strings that have no field of their own (api-params.json). */
const DEFAULT_KEYS: readonly (readonly [RegExp, string])[] = [
  [/^(ide|sata|scsi|virtio|efidisk|tpmstate)\d+$/, "file"],
  [/^machine$|^vga$/, "type"],
  [/^usb\d+$|^hostpci\d+$/, "host"],
  [/^virtiofs\d+$/, "dirid"],
  [/^dev\d+$/, "path"],
  [/^rng0$/, "source"],
  [/^watchdog$/, "model"],
  [/^(rootfs|mp\d+)$/, "volume"],
];

/**
 * Whether two texts of a key mean the same to PVE: the order of options does not count, nor how a switch is spelled
 * inside a property string, nor a size or MAC that only one side gives (PVE fills them in), nor blanks around it.
 */
export function sameRaw(kind: Kind, key: string, a: string, b: string): boolean {
  const [left, right] = [a.trim(), b.trim()];
  if (left === right) return true;
  if (isNumber(left) && isNumber(right)) return Number(left) === Number(right);
  if (![left, right].some((text) => /[=,]/.test(text))) return false;
  return sameOptions(optionsOf(kind, key, left), optionsOf(kind, key, right));
}

function isNumber(text: string): boolean {
  return /^-?\d+(\.\d+)?$/.test(text);
}

function optionsOf(kind: Kind, key: string, text: string): Map<string, string> {
  const group = specOf(kind).groups.find((candidate) => candidate.pathOf(key) !== undefined);
  const defaultKey = DEFAULT_KEYS.find(([pattern]) => pattern.test(key))?.[1];
  const options = group?.parse(text) ?? PropertyString.parse(text, defaultKey);
  return new Map(options.entries().map(([option, value]) => [option, spelled(option, value)]));
}

function spelled(option: string, value: string): string {
  if (option === "macaddr" || option === "hwaddr") return value.toUpperCase();
  const flag = readBoolean(value);
  return flag === undefined ? value : flag ? "1" : "0";
}

/** Options that PVE fills in by itself, so that one side may lack them. */
const FILLED_IN = new Set(["size", "macaddr", "hwaddr"]);

function sameOptions(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  const names = [...new Set([...a.keys(), ...b.keys()])];
  return names.every((name) => {
    const [left, right] = [a.get(name), b.get(name)];
    return left === right || (FILLED_IN.has(name) && (left === undefined || right === undefined));
  });
}
