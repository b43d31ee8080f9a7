import { ProxmoorError } from "../model/errors.js";
import { isAmbiguous, meaningOf } from "./error-texts.js";
import type { WireAnswer, WireRequest } from "./exchange.js";

export interface AnswerContext {
  readonly request: Pick<WireRequest, "method" | "path">;
  readonly host: string;
  /** Replaces every secret in a text. */
  readonly redact: (text: string) => string;
}

/**
 * The `data` of a good answer.
 *
 * @throws ProxmoorError with PVE's own words for an error, PVE_ANSWER for what is no PVE answer at all.
 */
export function dataOf(answer: WireAnswer, context: AnswerContext): unknown {
  const body = parseBody(answer);
  if (answer.status !== 200) throw refusal(answer, context);
  if (body === undefined || !("data" in body)) {
    throw new ProxmoorError(
      "PVE_ANSWER",
      `${context.host} answered ${context.request.method} ${pathOnly(context.request.path)} with something that is not PVE's JSON ` +
        `(${answer.contentType || "no content type"}, ${answer.body.length} bytes)`,
      { subject: context.host, remedy: "Check that the endpoint is a PVE host and not a proxy's own page." },
    );
  }
  return body["data"];
}

function parseBody(answer: WireAnswer): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(answer.body);
    return typeof body === "object" && body !== null && !Array.isArray(body)
      ? (body as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What PVE said: its message, or the reason phrase where there is no body (401, 595), and below it the complaint about
 * each parameter. Line ends become blanks, as in PVE's own task log.
 */
export function pveText(answer: WireAnswer): string {
  const body = parseBody(answer);
  const message = typeof body?.["message"] === "string" ? oneLine(body["message"]) : "";
  const said = message === "" ? oneLine(answer.reason) : message;
  const errors = body?.["errors"];
  if (typeof errors !== "object" || errors === null) return said;
  const complaints = Object.entries(errors)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([parameter, complaint]) => `${parameter}: ${oneLine(String(complaint))}`);
  return complaints.length === 0 ? said : `${said.replace(/\.$/, "")}: ${complaints.join("; ")}`;
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, " ");
}

const UNKNOWN = "What PVE has to say about it is in the node's journal (pvedaemon, pveproxy).";

function refusal(answer: WireAnswer, context: AnswerContext): ProxmoorError {
  const { request, host } = context;
  const text = context.redact(pveText(answer)) || `HTTP ${answer.status}`;
  const subject = subjectOf(request.path, host);
  const facts = { status: answer.status, method: request.method, path: pathOnly(request.path) };
  if (isAmbiguous(answer.status)) {
    const read = request.method === "GET";
    return new ProxmoorError(
      read ? "PVE_NODE_OFFLINE" : "PVE_NO_ANSWER",
      read
        ? `${subject} does not answer: ${answer.status} ${text}`
        : `no answer came through: ${answer.status} ${text}`,
      { subject, retry: "later", facts },
    );
  }
  const meaning = meaningOf(answer.status, text);
  const shown = answer.status >= 595 ? `${answer.status} ${text}` : text;
  return new ProxmoorError(meaning.code, shown, {
    subject,
    retry: meaning.retry,
    remedy: meaning.remedy ?? (meaning.code === "PVE_ERROR" ? UNKNOWN : undefined),
    facts: { ...facts, ...(meaning.what === undefined ? {} : { what: meaning.what }) },
  });
}

/** The path without its query, which may hold values. */
export function pathOnly(path: string): string {
  return path.replace(/\?.*$/, "").replace(/^\/api2\/json/, "");
}

/** What a path is about, for people: `pve1/qemu/101`, `pve1`, or the host. */
export function subjectOf(path: string, host: string): string {
  const guest = /^\/nodes\/([^/]+)\/(qemu|lxc)\/(\d+)/.exec(pathOnly(path));
  if (guest) return `${guest[1]}/${guest[2]}/${guest[3]}`;
  return /^\/nodes\/([^/]+)/.exec(pathOnly(path))?.[1] ?? host;
}
