const FACTORS: Record<string, number> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** What a quantity looks like, for schemas and messages. */
export const QUANTITY_PATTERN = "^[0-9]+(\\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$";

/**
 * Kubernetes' quantities: `4Gi`, `1.5Gi`, `512Mi`, `2G` (decimal), plain numbers are bytes.
 * Gives bytes; undefined where the text is no quantity or no whole number of bytes below 2^53.
 */
export function parseQuantity(text: string | number): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/.exec(String(text));
  const factor = match && FACTORS[match[2] ?? ""];
  if (!match || factor === undefined || factor === null) return undefined;
  const bytes = Number(match[1]) * factor;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Bytes in the largest binary unit that keeps them whole: 4294967296 → `4Gi`, 1000 → `1000`. */
export function formatQuantity(bytes: number): string {
  for (const unit of ["Pi", "Ti", "Gi", "Mi", "Ki"]) {
    const factor = FACTORS[unit] ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}
