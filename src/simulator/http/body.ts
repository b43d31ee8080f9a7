import { ApiFault } from "../fault.js";
import type { Params } from "../table/check.js";

/** PVE's limit of a form or JSON body, bytes [BEHAVIOUR section 15]. */
export const MAX_BODY = 524288;

const SOURCE = "/usr/share/perl5/PVE/APIServer/AnyEvent.pm";

/** Perl's uri_unescape: what is no escape stays as it is. */
export function unescape(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = Buffer.from(text, "utf8");
  const out: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const hex = bytes[i] === 0x25 ? text2hex(bytes, i) : undefined;
    if (hex === undefined) out.push(bytes[i] ?? 0);
    else {
      out.push(hex);
      i += 2;
    }
  }
  return Buffer.from(out).toString("utf8");
}

function text2hex(bytes: Buffer, at: number): number | undefined {
  const digits = bytes.toString("latin1", at + 1, at + 3);
  return /^[0-9a-fA-F]{2}$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
}

/** Parameters of a query or form; repeated names become lists, a name without `=` is empty. */
export function parseForm(text: string): Params {
  const params: Params = {};
  for (const pair of text.split(/[&;]/)) {
    const at = pair.indexOf("=");
    const name = unescape((at < 0 ? pair : pair.slice(0, at)).replaceAll("+", " "));
    if (name !== "") add(params, name, at < 0 ? "" : unescape(pair.slice(at + 1).replaceAll("+", " ")));
  }
  return params;
}

function add(params: Params, name: string, value: string): void {
  const before = params[name];
  if (before === undefined) params[name] = value;
  else params[name] = typeof before === "string" ? [before, value] : [...before, value];
}

/** A body that is no JSON, or no object, fails with the words of PVE's server: an answer without formatter. */
export class PlainFault extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: string = message,
  ) {
    super(message);
  }
}

function parseJson(text: string): Params {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const end = text.length;
    const said = `malformed JSON string, neither tag, array, object, number, string or atom, at character offset ${end} (before "(end of string)") at ${SOURCE} line 934.`;
    throw new PlainFault(500, said, `${said}\n`);
  }
  if (typeof value === "string") {
    const said = `Can't use string ("${value}") as a HASH ref while "strict refs" in use at ${SOURCE} line 978.`;
    throw new PlainFault(500, said, `${said}\n`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    const said = `Not a HASH reference at ${SOURCE} line 978.`;
    throw new PlainFault(500, said, `${said}\n`);
  }
  const params: Params = {};
  for (const [name, given] of Object.entries(value)) {
    if (Array.isArray(given)) params[name] = given.map(scalar);
    else if (given !== null) params[name] = scalar(given);
  }
  return params;
}

function scalar(value: unknown): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** The parameters of a body, by its content type; other types are refused. */
export function parseBody(contentType: string | undefined, text: string): Params {
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  if (type === undefined || type === "application/x-www-form-urlencoded") return parseForm(text);
  if (type === "application/json") return parseJson(text);
  throw new PlainFault(506, `upload 'Content-Type '${contentType ?? ""}' not implemented`);
}

/** A file upload: the fields and the file of a multipart body. */
export interface Upload {
  readonly fields: Record<string, string>;
  readonly filename: string;
  readonly size: number;
  readonly content: Buffer;
}

/** Takes a multipart body apart. @throws ApiFault when it is none. */
export function parseMultipart(contentType: string, body: Buffer): Upload {
  const boundary = /boundary="?([^";]+)"?/.exec(contentType)?.[1];
  if (boundary === undefined) throw new ApiFault(500, "no boundary in multipart upload");
  const fields: Record<string, string> = {};
  let file: { name: string; content: Buffer } | undefined;
  const mark = Buffer.from(`--${boundary}`);
  for (let start = body.indexOf(mark); start >= 0;) {
    const next = body.indexOf(mark, start + mark.length);
    if (next < 0) break;
    const part = body.subarray(start + mark.length + 2, next - 2);
    const split = part.indexOf("\r\n\r\n");
    const head = part.subarray(0, split).toString("utf8");
    const name = /name="([^"]*)"/.exec(head)?.[1] ?? "";
    const filename = /filename="([^"]*)"/.exec(head)?.[1];
    const content = part.subarray(split + 4);
    if (filename === undefined) fields[name] = content.toString("utf8");
    else file = { name: filename, content: Buffer.from(content) };
    start = next;
  }
  if (file === undefined) {
    const said = `upload failed at ${SOURCE} line 1370.`;
    throw new PlainFault(500, said, `${said}\n`);
  }
  return { fields, filename: file.name, size: file.content.length, content: file.content };
}
