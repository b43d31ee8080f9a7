import type { Extras } from "../call.js";
import { ApiFault, faultText } from "../fault.js";
import { PlainFault } from "./body.js";
import { PlainText } from "./plain-text.js";

/** What goes back over the wire. */
export interface HttpAnswer {
  readonly status: number;
  readonly reason: string;
  readonly type: string | null;
  readonly body: string;
}

export type Format = "json" | "extjs" | "html";

const JSON_TYPE = "application/json;charset=UTF-8";
const HTML_TYPE = "text/html;charset=UTF-8";

/** The first line only: a reason phrase has no more. */
const firstLine = (text: string): string => (text.split("\n")[0] ?? "").replace(/[^\x20-\x7e\xa0-\xff]/g, "?");

function wrap(format: Format, status: number, reason: string, body: object): HttpAnswer {
  if (format === "html") {
    const text = `<!DOCTYPE html>\n<html><body><pre>${JSON.stringify(body).replace(/[&<>]/g, "")}</pre></body></html>\n`;
    return { status, reason, type: HTML_TYPE, body: text };
  }
  return { status, reason, type: JSON_TYPE, body: JSON.stringify(body) };
}

/** A call that went well. */
export function goodAnswer(format: Format, data: unknown, extras: Extras): HttpAnswer {
  if (data instanceof PlainText) return { status: 200, reason: "OK", type: data.type, body: data.text };
  // PVE copies the total only when it is not zero
  const body = { data: data ?? null, ...(extras.total !== undefined && extras.total > 0 && { total: extras.total }) };
  return wrap(format, 200, "OK", format === "extjs" ? { ...body, success: 1 } : body);
}

/** A refused call; `extjs` answers 200 and says the status inside, as text for what PVE raised on purpose. */
export function faultAnswer(format: Format, error: unknown): HttpAnswer {
  if (error instanceof PlainFault)
    return { status: error.status, reason: firstLine(error.message), type: null, body: error.body };
  const fault = error instanceof ApiFault ? error : new ApiFault(500, faultText(error));
  const text = fault.message.replace(/\n$/, "");
  if (fault.status >= 595) return { status: fault.status, reason: text, type: null, body: "" };
  const message = fault.status === 501 || fault.status === 404 ? text : `${text}\n`;
  const body = { data: null, message, ...(fault.errors !== undefined && { errors: fault.errors }) };
  if (format !== "extjs") return wrap(format, fault.status, firstLine(text), body);
  const status =
    fault.status === 400 || fault.status === 403 || fault.status === 401 ? `${fault.status}` : fault.status;
  return wrap(format, 200, "OK", { ...body, success: 0, status });
}
