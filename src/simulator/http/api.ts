import type { IncomingHttpHeaders } from "node:http";
import type { Login } from "../auth/login.js";
import { AuthFault, authenticate } from "../auth/tickets.js";
import { ApiFault } from "../fault.js";
import type { Faults, RequestFault } from "../faults/faults.js";
import { changeFields } from "../faults/fields.js";
import type { Params } from "../table/check.js";
import type { World } from "../world.js";
import { faultAnswer, goodAnswer, type Format, type HttpAnswer } from "./answer.js";
import { parseBody, parseForm, parseMultipart, PlainFault, unescape, type Upload } from "./body.js";
import { dispatch, type ApiAnswer } from "./dispatch.js";
import { maskParams, type RequestLog } from "./log.js";
import type { Routes } from "./routes.js";

export interface ApiOptions {
  readonly world: World;
  readonly routes: Routes;
  readonly log: RequestLog;
  readonly faults: Faults;
  /** Milliseconds that PVE lets a refused log-in wait. */
  readonly authDelay: number;
}

/** A request however it came in. */
export interface ApiCall {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** undefined: too large. */
  readonly body: Buffer | undefined;
}

/** What goes back: the answer, whole unless the connection is to be cut before it or in its middle. */
export interface Delivery {
  readonly answer: HttpAnswer;
  readonly cut?: "before" | "middle" | undefined;
  /** The connection is closed after being idle for so long, milliseconds. */
  readonly idle?: number | undefined;
}

interface Incoming {
  readonly headers: IncomingHttpHeaders;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly body: Buffer;
  readonly fault: RequestFault | undefined;
}

interface Seen {
  format: Format;
  login?: Login | undefined;
  params: Params;
}

const METHODS = new Set(["GET", "POST", "PUT", "DELETE"]);

/** Calls that need no log-in. */
const OPEN = new Set(["GET /access/ticket", "POST /access/ticket", "GET /access/domains", "GET /access/openid"]);

const NOTHING: HttpAnswer = { status: 0, reason: "", type: null, body: "" };
const TOO_LARGE = "for data too large";

/** From a request to its answer: log-ins, formats, faults, the log. It knows neither sockets nor guests. */
export class Api {
  constructor(private readonly options: ApiOptions) {}

  async serve({ method, url, headers, body }: ApiCall): Promise<Delivery> {
    const { log, faults, world, authDelay } = this.options;
    const started = performance.now();
    const [time, arrived] = [new Date(world.clock.now()).toISOString(), log.next()];
    const at = url.indexOf("?");
    const path = at < 0 ? url : url.slice(0, at);
    const found = faults.request(method, path.replace(/^\/api2\/\w+/, ""));
    const fault = found instanceof Promise ? await found : found;
    if (fault !== undefined && fault.delay > 0) await this.wait(fault.delay);
    const incoming = {
      headers,
      method,
      path,
      query: at < 0 ? "" : url.slice(at + 1),
      body: body ?? Buffer.alloc(0),
      fault,
    };
    const seen: Seen = { format: "json", params: {} };
    const delivery = await this.deliver(incoming, seen, body === undefined);
    if (delivery.answer.status === 401 && authDelay > 0) await this.wait(authDelay);
    log.add({
      time,
      arrived,
      answered: log.next(),
      method,
      path: unescape(path),
      params: maskParams(seen.params),
      user: seen.login?.name ?? "",
      status: delivery.answer.status,
      ms: Math.round((performance.now() - started) * 100) / 100,
      ...(fault !== undefined && fault.titles.length > 0 && { faults: fault.titles }),
      ...(delivery.cut !== undefined && { cut: true }),
    });
    return delivery;
  }

  private wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.options.world.clock.after(ms, () => resolve()));
  }

  private async deliver(incoming: Incoming, seen: Seen, tooLarge: boolean): Promise<Delivery> {
    const { fault } = incoming;
    if (fault?.close === "before") return { answer: NOTHING, cut: "before" };
    const instead = fault?.answer;
    const other = instead && { status: instead.status, reason: reasonOf(instead), type: null, body: "" };
    if (other !== undefined && instead?.taken !== true) return { answer: other };
    if (tooLarge) return { answer: { status: 501, reason: TOO_LARGE, type: null, body: TOO_LARGE } };
    const answer = await this.outcome(incoming, seen);
    const cut = fault?.close === "after" ? "before" : fault?.close === "middle" ? "middle" : undefined;
    return { answer: other ?? answer, cut, idle: fault?.idle };
  }

  private async outcome(incoming: Incoming, seen: Seen): Promise<HttpAnswer> {
    try {
      return await this.answer(incoming, seen);
    } catch (error) {
      if (error instanceof AuthFault) return { status: 401, reason: error.message, type: null, body: "" };
      return faultAnswer(seen.format, error);
    }
  }

  private answer(incoming: Incoming, seen: Seen): HttpAnswer | Promise<HttpAnswer> {
    const { method, path, query, body, headers, fault } = incoming;
    if (!METHODS.has(method)) throw new PlainFault(501, `method '${method}' not available`, "");
    if (headers["transfer-encoding"] !== undefined)
      throw new PlainFault(501, "chunked transfer encoding not supported");
    if ((method === "GET" || method === "DELETE") && body.length > 0)
      throw new PlainFault(501, `Unexpected content for method '${method}'`);
    const segments = unescape(path)
      .split("/")
      .filter((part) => part !== "");
    if (segments[0] !== "api2") throw new PlainFault(500, `no such file '${path}'`, `no such file '${path}'\n`);
    const format = segments[1] ?? "";
    if (format !== "json" && format !== "extjs" && format !== "html")
      throw new PlainFault(501, `no formatter for uri /${segments.slice(2).join("/")}, ${format}`);
    seen.format = format;
    const { world, routes } = this.options;
    const rest = segments.slice(2);
    const open = rest.length === 0 || OPEN.has(`${method} /${rest.join("/")}`);
    if (!open) seen.login = this.login(headers, method);
    const { params, upload } = parameters({ query, body, contentType: headers["content-type"], method, rest });
    seen.params = params;
    if (fault?.lock === true) return this.lockedOut(rest);
    const given = dispatch(world, routes, { method, segments: rest, params, login: seen.login, upload });
    const good = ({ data, extras }: ApiAnswer): HttpAnswer =>
      goodAnswer(format, fault?.fields === undefined ? data : changeFields(data, fault.fields), extras);
    return given instanceof Promise ? given.then(good) : good(given);
  }

  /** PVE waits ten seconds for a lock before it gives up. */
  private async lockedOut([, node = "", kind, vmid]: readonly string[]): Promise<never> {
    const { world } = this.options;
    await new Promise<void>((resolve) => void world.after(10_000, () => resolve()));
    const isGuest = (kind === "qemu" || kind === "lxc") && vmid !== undefined;
    const file = `/var/lock/pve-manager/pve-storage-${node}`;
    const text = isGuest ? world.lockText(kind, Number(vmid)) : `can't lock file '${file}' - got timeout`;
    throw new ApiFault(500, text);
  }

  private login(headers: IncomingHttpHeaders, method: string): Login {
    const { authorization, cookie, csrfpreventiontoken } = headers;
    const csrf = typeof csrfpreventiontoken === "string" ? csrfpreventiontoken : undefined;
    return authenticate(this.options.world, { method, authorization, cookie, csrf });
  }
}

/** The words of PVE's proxy and HTTP library [BEHAVIOUR section 8]. */
const REASONS: Readonly<Record<number, string>> = {
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  595: "Connection refused",
  596: "Connection timed out",
  597: "Connection reset by peer",
  599: "Too many redirections",
};

function reasonOf({ status, reason }: { readonly status: number; readonly reason?: string }): string {
  return reason ?? REASONS[status] ?? "Server Error";
}

interface Sent {
  readonly query: string;
  readonly body: Buffer;
  readonly contentType: string | undefined;
  readonly method: string;
  readonly rest: readonly string[];
}

/** Query and body together; an upload's file is told by its name and size. */
function parameters({ query, body, contentType, method, rest }: Sent): { params: Params; upload?: Upload } {
  const fromQuery = query === "" ? {} : parseForm(query);
  if (method === "GET" || method === "DELETE") return { params: fromQuery };
  if (contentType?.startsWith("multipart/form-data") === true && rest.at(-1) === "upload") {
    const upload = parseMultipart(contentType, body);
    return { params: { ...fromQuery, ...upload.fields, filename: upload.filename }, upload };
  }
  return { params: { ...fromQuery, ...parseBody(contentType, body.toString("utf8")) } };
}
