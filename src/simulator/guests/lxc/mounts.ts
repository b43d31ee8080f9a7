import { partsOf } from "../../table/check.js";
import { joinString, type Parts } from "../../table/strings.js";
import { propertyString } from "../../table/table.js";

export const isMountKey = (key: string): boolean => key === "rootfs" || /^mp\d+$/.test(key);
export const isUnused = (key: string): boolean => /^unused\d+$/.test(key);

const shapeName = (key: string): string => (key === "rootfs" ? "rootfs" : "mp");

export const parseMount = (key: string, value: string): Parts => partsOf(value, shapeName(key));

export function printMount(key: string, parts: Parts): string {
  return joinString(parts, propertyString(shapeName(key)) ?? {});
}

/** PVE's `classify_mountpoint`. */
export function mountKind(volume: string): "device" | "bind" | "volume" {
  if (volume.startsWith("/dev/")) return "device";
  return volume.startsWith("/") ? "bind" : "volume";
}

/** `data:1` → storage and GiB; undefined for a volume that is there already. */
export function newVolume(volume: string): { storage: string; gib: number } | undefined {
  const found = /^([^:\s]+):(\d+(?:\.\d+)?)$/.exec(volume);
  return found === null ? undefined : { storage: found[1] ?? "", gib: Number(found[2]) };
}

/** Mount points in PVE's order: rootfs, then by number. */
export function mountsOf(config: Readonly<Record<string, string>>): [string, Parts][] {
  return Object.keys(config)
    .filter(isMountKey)
    .sort((a, b) => (a === "rootfs" ? -1 : b === "rootfs" ? 1 : Number(a.slice(2)) - Number(b.slice(2))))
    .map((key) => [key, parseMount(key, config[key] ?? "")]);
}
