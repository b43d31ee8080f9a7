import { appendFile } from "node:fs";
import type { Params } from "../table/check.js";

/** One request as the log has it; secrets are masked. */
export interface LoggedRequest {
  /** When it arrived: UTC, ISO 8601. */
  readonly time: string;
  /** Places in one count of arrivals and answers: what was answered before something else arrived is known by these. */
  readonly arrived: number;
  readonly answered: number;
  readonly method: string;
  /** From the root, without the query. */
  readonly path: string;
  readonly params: Readonly<Record<string, string | readonly string[]>>;
  /** With the token; empty when nobody was logged in. */
  readonly user: string;
  /** 0 where the connection ended before the request was taken. */
  readonly status: number;
  readonly ms: number;
  /** The faults that struck. */
  readonly faults?: readonly string[];
  /** The connection ended before the whole answer was out. */
  readonly cut?: true;
}

const SECRET = /password|secret|sshkeys|ssh-public-keys|ticket|^keys?$|apitoken|^otp$|input-data/i;
const KEPT = 10_000;

export function maskParams(params: Params): LoggedRequest["params"] {
  const out: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(params)) out[name] = SECRET.test(name) ? "***" : value;
  return out;
}

/** Keeps the last requests for tests and writes all of them as JSON lines to a file, in batches. */
export class RequestLog {
  readonly entries: LoggedRequest[] = [];
  private count = 0;
  private waiting = "";
  private writing = false;

  constructor(private readonly file: string | undefined) {}

  /** The next place in the count of arrivals and answers. */
  next(): number {
    return ++this.count;
  }

  add(entry: LoggedRequest): void {
    this.entries.push(entry);
    if (this.entries.length > KEPT) this.entries.splice(0, KEPT / 10);
    if (this.file === undefined) return;
    this.waiting += `${JSON.stringify(entry)}\n`;
    if (!this.writing) void this.write(this.file);
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    while (this.writing) await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.file !== undefined && this.waiting !== "") await this.write(this.file);
  }

  private async write(file: string): Promise<void> {
    this.writing = true;
    while (this.waiting !== "") {
      const text = this.waiting;
      this.waiting = "";
      await new Promise<void>((resolve) => appendFile(file, text, { mode: 0o600 }, () => resolve()));
    }
    this.writing = false;
  }
}
