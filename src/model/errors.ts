import type { ERROR_CODES } from "./error-codes.js";

export type ErrorCode = keyof typeof ERROR_CODES;

/** Whether the same call may succeed later without anybody changing anything: data, not a guess of the caller. */
export type Retry = "never" | "later";

export interface ErrorDetails {
  /** The object it is about: `vm/web-01`, `manifests/web.yaml:3:7`, `pve1`. */
  readonly subject?: string | undefined;
  /** What to do about it, one sentence. */
  readonly remedy?: string | undefined;
  readonly retry?: Retry | undefined;
  readonly cause?: unknown;
  /** Further facts for programs; never a secret. */
  readonly facts?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
}

/** Every error that Proxmoor throws on purpose: a code of docs/errors.md, a sentence, a subject and a remedy. */
export class ProxmoorError extends Error {
  readonly code: ErrorCode;
  readonly subject: string | undefined;
  readonly remedy: string | undefined;
  readonly retry: Retry;
  readonly facts: Readonly<Record<string, string | number | boolean | undefined>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "ProxmoorError";
    this.code = code;
    this.subject = details.subject;
    this.remedy = details.remedy;
    this.retry = details.retry ?? "never";
    this.facts = details.facts ?? {};
  }
}

/** The sentence of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** One paragraph for a person: code, subject, sentence, remedy. */
export function describeError(error: unknown): string {
  if (!(error instanceof ProxmoorError)) return messageOf(error);
  // a sentence that begins with its subject needs no second one
  const isSaid = error.subject === undefined || error.message.startsWith(error.subject);
  const subject = isSaid ? "" : `${error.subject}: `;
  const remedy = error.remedy === undefined ? "" : `\n  ${error.remedy}`;
  return `${subject}${error.message} [${error.code}]${remedy}`;
}
