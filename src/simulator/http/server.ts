import https from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import net from "node:net";
import { gzipSync } from "node:zlib";
import type { Login } from "../auth/login.js";
import { AuthFault, authenticate } from "../auth/tickets.js";
import type { Params } from "../table/check.js";
import type { World } from "../world.js";
import { faultAnswer, goodAnswer, type Format, type HttpAnswer } from "./answer.js";
import { MAX_BODY, parseBody, parseForm, parseMultipart, PlainFault, unescape, type Upload } from "./body.js";
import type { Certificate } from "./certificate.js";
import { dispatch } from "./dispatch.js";
import { maskParams, type RequestLog } from "./log.js";
import type { Routes } from "./routes.js";

export interface ServerOptions {
  readonly world: World;
  readonly routes: Routes;
  readonly certificate: Certificate;
  readonly log: RequestLog;
  /** Milliseconds that PVE lets a refused log-in wait. */
  readonly authDelay: number;
}

/** PVE's connections: 100 requests each, 5 s idle; small headers. [BEHAVIOUR section 15] */
const REQUESTS_PER_CONNECTION = 100;
const IDLE_MS = 5000;
const MAX_HEADER = 8192;
const METHODS = new Set(["GET", "POST", "PUT", "DELETE"]);
const GZIP_FROM = 4096;
const TLS_HANDSHAKE = 0x16;

interface Incoming {
  readonly request: IncomingMessage;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly body: Buffer;
}

interface Outcome {
  readonly answer: HttpAnswer;
  readonly login?: Login | undefined;
  readonly params: Params;
}

/** The HTTPS side: connections, log-ins, formats. It knows nothing of guests. */
export class ApiServer {
  private readonly tls: https.Server;
  private readonly door: net.Server;
  private readonly sockets = new Set<net.Socket>();

  constructor(private readonly options: ServerOptions) {
    const { key, cert } = options.certificate;
    this.tls = https.createServer({ key, cert, maxHeaderSize: MAX_HEADER }, (request, response) => {
      void this.serve(request, response);
    });
    this.tls.keepAliveTimeout = IDLE_MS;
    this.tls.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
    this.tls.on("clientError", (_error, socket) => socket.destroy());
    this.tls.on("tlsClientError", (_error, socket) => socket.destroy());
    this.door = net.createServer((socket) => this.admit(socket));
  }

  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.door.once("error", reject);
      this.door.listen({ host, port }, () => {
        const address = this.door.address();
        resolve(address !== null && typeof address === "object" ? address.port : port);
      });
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.door.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    this.tls.closeAllConnections();
    await closed;
  }

  /** TLS goes on; plain HTTP is sent to https, as pveproxy does. */
  private admit(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.once("readable", () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return;
      if (first[0] === TLS_HANDSHAKE) {
        // the TLS layer takes what is buffered before it reads from the connection itself
        socket.unshift(first);
        this.tls.emit("connection", socket);
      } else redirect(socket, first.toString("latin1"));
    });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    const { method = "GET", url = "/" } = request;
    const at = url.indexOf("?");
    const path = at < 0 ? url : url.slice(0, at);
    const body = await readBody(request).catch(() => undefined);
    const incoming = { request, method, path, query: at < 0 ? "" : url.slice(at + 1), body: body ?? Buffer.alloc(0) };
    const outcome = body === undefined ? tooLarge() : await this.outcome(incoming);
    const { answer } = outcome;
    if (outcome.answer.status === 401 && this.options.authDelay > 0)
      await new Promise<void>((resolve) => this.options.world.clock.after(this.options.authDelay, () => resolve()));
    this.send(request, response, answer);
    this.options.log.add({
      time: new Date(this.options.world.clock.now()).toISOString(),
      method,
      path: unescape(path),
      params: maskParams(outcome.params),
      user: outcome.login?.name ?? "",
      status: answer.status,
      ms: Math.round((performance.now() - started) * 100) / 100,
    });
  }

  private async outcome(incoming: Incoming): Promise<Outcome> {
    const seen: { format: Format; login?: Login | undefined; params: Params } = { format: "json", params: {} };
    try {
      const answer = await this.answer(incoming, seen);
      return { answer, login: seen.login, params: seen.params };
    } catch (error) {
      const answer =
        error instanceof AuthFault
          ? { status: 401, reason: error.message, type: null, body: "" }
          : faultAnswer(seen.format, error);
      return { answer, login: seen.login, params: seen.params };
    }
  }

  private answer(
    incoming: Incoming,
    seen: { format: Format; login?: Login | undefined; params: Params },
  ): HttpAnswer | Promise<HttpAnswer> {
    const { request, method, path, query, body } = incoming;
    if (!METHODS.has(method)) throw new PlainFault(501, `method '${method}' not available`, "");
    if (request.headers["transfer-encoding"] !== undefined)
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
    if (!open) seen.login = this.login(request, method);
    const { params, upload } = parameters({ query, body, contentType: request.headers["content-type"], method, rest });
    seen.params = params;
    const asked = { method, segments: rest, params, login: seen.login, upload };
    const given = dispatch(world, routes, asked);
    if (given instanceof Promise) return given.then(({ data, extras }) => goodAnswer(format, data, extras));
    return goodAnswer(format, given.data, given.extras);
  }

  private login(request: IncomingMessage, method: string): Login {
    const { authorization, cookie, csrfpreventiontoken } = request.headers;
    const csrf = typeof csrfpreventiontoken === "string" ? csrfpreventiontoken : undefined;
    return authenticate(this.options.world, { method, authorization, cookie, csrf });
  }

  private send(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer): void {
    const zip =
      answer.body.length >= GZIP_FROM && /\bgzip\b/.test(request.headers["accept-encoding"]?.toString() ?? "");
    const body = zip ? gzipSync(answer.body) : Buffer.from(answer.body);
    response.writeHead(answer.status, answer.reason, {
      "cache-control": "max-age=0",
      pragma: "no-cache",
      server: "pve-api-daemon/3.0",
      ...(answer.type !== null && { "content-type": answer.type }),
      ...(zip && { "content-encoding": "gzip" }),
      "content-length": body.length,
      ...(answer.status >= 400 && { connection: "close" }),
    });
    response.end(body);
  }
}

/** Plain HTTP on the API's port: sent to https, and closed. */
function redirect(socket: net.Socket, head: string): void {
  const [method = "GET", path = "/"] = head.split(" ");
  const host = /\r\nhost:\s*(\S+)/i.exec(head)?.[1] ?? "localhost";
  const status = method === "GET" ? "301 Moved Permanently" : "308 Permanent Redirect";
  const lines = [`HTTP/1.1 ${status}`, `Location: https://${host}${path}`, "Content-Length: 0", "Connection: close"];
  socket.end(`${lines.join("\r\n")}\r\n\r\n`);
}

/** Calls that need no log-in. */
const OPEN = new Set(["GET /access/ticket", "POST /access/ticket", "GET /access/domains", "GET /access/openid"]);

const tooLarge = (): Outcome => ({
  answer: { status: 501, reason: "for data too large", type: null, body: "for data too large" },
  params: {},
});

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

/** @returns undefined's rejection when it is too large; uploads have no limit. */
function readBody(request: IncomingMessage): Promise<Buffer> {
  const limit = request.headers["content-type"]?.startsWith("multipart/form-data") === true ? Infinity : MAX_BODY;
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    request.on("data", (part: Buffer) => {
      length += part.length;
      if (length <= limit) parts.push(part);
    });
    request.on("end", () => (length <= limit ? resolve(Buffer.concat(parts)) : reject(new Error("too large"))));
    request.on("error", reject);
  });
}
