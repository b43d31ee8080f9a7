const FACTORS = new Map<string, bigint>([
  ["", 1n],
  ["k", 10n ** 3n],
  ["M", 10n ** 6n],
  ["G", 10n ** 9n],
  ["T", 10n ** 12n],
  ["P", 10n ** 15n],
  ["Ki", 2n ** 10n],
  ["Mi", 2n ** 20n],
  ["Gi", 2n ** 30n],
  ["Ti", 2n ** 40n],
  ["Pi", 2n ** 50n],
]);

/** What a quantity looks like, for schemas and messages. */
export const QUANTITY_PATTERN = "^[0-9]+(\\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$";

/**
 * Kubernetes' quantities: `4Gi`, `1.5Gi`, `512Mi`, `2G` (decimal), plain numbers are bytes.
 * Gives bytes; undefined where the text is no quantity or no whole number of bytes below 2^53.
 */
export function parseQuantity(text: string | number): number | undefined {
  const match = /^([0-9]{1,30})(?:\.([0-9]{1,30}))?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/.exec(String(text));
  const factor = FACTORS.get(match?.[3] ?? "");
  if (!match || factor === undefined) return undefined;
  const decimals = match[2] ?? "";
  // as integers: 1.005 × 1000 is 1004.9999999999999 in floating point
  const scaled = BigInt(`${match[1]}${decimals}`) * factor;
  const scale = 10n ** BigInt(decimals.length);
  const bytes = scaled / scale;
  return scaled % scale === 0n && bytes <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(bytes) : undefined;
}

/** Bytes in the largest binary unit that keeps them whole: 4294967296 → `4Gi`, 1000 → `1000`. */
export function formatQuantity(bytes: number): string {
  for (const unit of ["Pi", "Ti", "Gi", "Mi", "Ki"]) {
    const factor = Number(FACTORS.get(unit));
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}
