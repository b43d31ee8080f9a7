const UNITS = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

/** PVE's `parse_size`: bytes of `4G`, `512M`, `1024`; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)([KMGT])?$/.exec(text);
  if (found === null) return undefined;
  const unit = found[2] as keyof typeof UNITS | undefined;
  return Math.floor(Number(found[1]) * (unit === undefined ? 1 : UNITS[unit]));
}

/** PVE's `format_size`: the largest unit that divides; rounded up to whole KiB, zero is `0T`. */
export function formatSize(bytes: number): string {
  let size = Math.ceil(bytes / UNITS.K);
  if (size === 0) return "0T";
  for (const unit of ["K", "M", "G"]) {
    if (size % 1024 !== 0) return `${size}${unit}`;
    size /= 1024;
  }
  return `${size}T`;
}

/** As logs have it: `1.0 GiB`, `528.0 KiB`. */
export function humanSize(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}
