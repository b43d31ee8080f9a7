import { isUtf8 } from "node:buffer";

/** A file larger than this is no manifest: a fault instead of a slow parse. */
export const MAX_BYTES = 10 * 1024 * 1024;

/** Turns offsets into lines and columns, both from 1. */
export class LineIndex {
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
  }

  at(offset: number): { line: number; column: number } {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 };
  }
}

/** The text of a file, or why it is none and at which byte (from 0). */
export type Decoded =
  { readonly text: string } | { readonly problem: string; readonly line: number; readonly column: number };

/** Bytes to text: UTF-8 with or without a byte order mark; anything else is told with its byte offset. */
export function decodeText(bytes: Buffer): Decoded {
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0;
  if (mark === 0xfffe || mark === 0xfeff) {
    return { problem: "is UTF-16; a manifest is UTF-8 text", line: 1, column: 1 };
  }
  const zero = bytes.indexOf(0);
  if (zero >= 0) return { problem: `is binary: byte ${zero} is zero; a manifest is UTF-8 text`, ...spot(bytes, zero) };
  if (!isUtf8(bytes)) {
    const at = firstInvalid(bytes);
    const value = (bytes[at] ?? 0).toString(16).padStart(2, "0");
    return { problem: `is not UTF-8: byte ${at} is 0x${value}; a manifest is UTF-8 text`, ...spot(bytes, at) };
  }
  const text = bytes.toString("utf8");
  return { text: text.startsWith("\uFEFF") ? text.slice(1) : text };
}

/** Decoding replaces what is no UTF-8, so the first byte that does not come back is the first wrong one. */
function firstInvalid(bytes: Buffer): number {
  const again = Buffer.from(bytes.toString("utf8"));
  let at = 0;
  while (at < bytes.length && bytes[at] === again[at]) at++;
  return at;
}

function spot(bytes: Buffer, offset: number): { line: number; column: number } {
  const before = bytes.subarray(0, offset);
  const lastLine = before.lastIndexOf(10) + 1;
  let line = 1;
  for (let at = before.indexOf(10); at >= 0; at = before.indexOf(10, at + 1)) line++;
  return { line, column: before.subarray(lastLine).toString("utf8").length + 1 };
}
