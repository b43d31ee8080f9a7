import type { FieldValue } from "../../desired/types.js";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const SIZE_FACTORS: Record<string, number> = { "": 1, K: 2 ** 10, M: MIB, G: GIB, T: 2 ** 40 };

/** How one value stands on the wire and in the manifests' fields. `read` gives undefined where the text is no such value. */
export interface ValueCodec {
  read(text: string): FieldValue | undefined;
  write(value: FieldValue): string;
}

/** yes, on and true count inside property strings only; parameters themselves take 0 and 1 [qemuconfig/value.onboot-true]. */
export function readBoolean(text: string): boolean | undefined {
  if (/^(1|on|yes|true)$/i.test(text)) return true;
  return /^(0|off|no|false)$/i.test(text) ? false : undefined;
}

export const text: ValueCodec = { read: (value) => value, write: (value) => String(value) };

export const bool: ValueCodec = { read: readBoolean, write: (value) => (value === true ? "1" : "0") };

/** `discard` is an enumeration, not a boolean [qemudisk/option.discard-bad]. */
export const onOrIgnore: ValueCodec = {
  read: (value) => (value === "on" ? true : value === "ignore" ? false : undefined),
  write: (value) => (value === true ? "on" : "ignore"),
};

export const number: ValueCodec = {
  read: (value) => (value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : undefined),
  write: (value) => String(value),
};

/** PVE counts memory in MiB; a part of one is rounded up. */
export const mebibytes: ValueCodec = {
  read: (value) => {
    const mib = number.read(value);
    return typeof mib === "number" ? mib * MIB : undefined;
  },
  write: (value) => String(Math.ceil(Number(value) / MIB)),
};

/** MACs compare without regard to case; PVE keeps what it was sent [qemucreate/nets.config]. */
export const mac: ValueCodec = { read: (value) => value.toUpperCase(), write: (value) => String(value) };

/** PVE lower-cases, sorts and de-duplicates tags, and reads " " for emptied ones [qemuconfig/tags.case, tags.empty]. */
export const tags: ValueCodec = {
  read: (value) => [...new Set(splitList(value.toLowerCase()))].sort(),
  write: (value) => asList(value).join(";"),
};

/** Addresses and the like: comma, semicolon and blank all separate [qemuconfig/ci.ipconfig-good.after]. */
export const list: ValueCodec = { read: (value) => splitList(value), write: (value) => asList(value).join(" ") };

/** SSH keys stand URL-encoded once, one key a line [qemuconfig/ci.keys]. */
export const sshKeys: ValueCodec = {
  read: (value) => {
    try {
      return decodeURIComponent(value)
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "");
    } catch {
      return undefined;
    }
  },
  write: (value) =>
    encodeURIComponent(
      asList(value)
        .map((key) => `${key.trim()}\n`)
        .join(""),
    ),
};

function splitList(value: string): string[] {
  return value.split(/[\s,;]+/).filter((item) => item !== "");
}

function asList(value: FieldValue): readonly string[] {
  return Array.isArray(value) ? (value as readonly string[]) : [String(value)];
}

/** PVE's disk sizes (`32G`, `1536M`, `15408K`, plain bytes) in bytes; undefined where it is none. */
export function parseDiskSize(value: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGT])?$/.exec(value);
  const factor = match && SIZE_FACTORS[match[2] ?? ""];
  return match && factor ? Math.round(Number(match[1]) * factor) : undefined;
}

/** Bytes as PVE writes sizes: the largest unit that keeps them whole. */
export function formatDiskSize(bytes: number): string {
  for (const unit of ["T", "G", "M", "K"]) {
    const factor = SIZE_FACTORS[unit] ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/**
 * Bytes as GiB for a new volume (`data:0.25` [qemudisk/add.several]), rounded up to the KiB that PVE allocates in.
 * Written out in decimals: PVE's pattern knows no exponent.
 */
export function formatGib(bytes: number): string {
  const kib = Math.ceil(bytes / 1024);
  const whole = Math.floor(kib / 2 ** 20);
  const rest = kib % 2 ** 20;
  if (rest === 0) return String(whole);
  const decimals = ((BigInt(rest) * 10n ** 20n) / 2n ** 20n).toString().padStart(20, "0").replace(/0+$/, "");
  return `${whole}.${decimals}`;
}
