import { ProxmoorError } from "../model/errors.js";

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/**
 * A time of an option as UTC milliseconds: `2026-01-02T03:04:05Z`, with an offset, or as a day or without a zone, which
 * mean UTC; `now`; or how long ago: `90s`, `2h`, `3d`. Throws USAGE.
 */
export function timeOf(text: string, flag: string, now: number): number {
  if (text === "now") return now;
  const ago = /^(\d+)([smhdw])$/.exec(text);
  if (ago) return now - Number(ago[1]) * (UNITS[ago[2] ?? ""] ?? 0);
  const form = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  const zoned = form?.[4] === undefined && form?.[1] !== undefined ? `${text}Z` : text;
  const time = form ? Date.parse(zoned.replace(" ", "T")) : NaN;
  if (!Number.isNaN(time)) return time;
  throw new ProxmoorError("USAGE", `${flag} must be a time, not "${text}"`, {
    remedy: "It looks like 2026-01-02T03:04:05Z, or how long ago: 90s, 2h, 3d.",
  });
}
