import https from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import net from "node:net";
import { gzipSync } from "node:zlib";
import type { SimulatorClock } from "../clock.js";
import type { Conditions } from "../faults/conditions.js";
import type { HttpAnswer } from "./answer.js";
import type { Api } from "./api.js";
import { MAX_BODY } from "./body.js";
import type { Certificate } from "./certificate.js";

export interface ServerOptions {
  readonly api: Api;
  readonly conditions: Conditions;
  readonly clock: SimulatorClock;
  readonly certificate: Certificate;
}

/** PVE's connections: 100 requests each, 5 s idle; small headers. [BEHAVIOUR section 15] */
const REQUESTS_PER_CONNECTION = 100;
const IDLE_MS = 5000;
const MAX_HEADER = 8192;
const MAX_HEADER_LINES = 64;
const GZIP_FROM = 4096;
const TLS_HANDSHAKE = 0x16;

/** The HTTPS side: connections, log-ins, formats. It knows nothing of PVE. */
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
    options.conditions.whenDown(() => this.breakAll());
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
    this.breakAll();
    await closed;
  }

  private breakAll(): void {
    for (const socket of this.sockets) socket.destroy();
    this.tls.closeAllConnections();
  }

  /** TLS goes on; plain HTTP is sent to https, as pveproxy does. */
  private admit(socket: net.Socket): void {
    if (this.options.conditions.isDown) {
      socket.resetAndDestroy();
      return;
    }
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
    const { method = "GET", url = "/", headers } = request;
    if (request.rawHeaders.length / 2 >= MAX_HEADER_LINES) {
      // PVE drops what it can't hold without a word, and the idle connection later
      this.closeWhenIdle(request.socket, IDLE_MS);
      return;
    }
    const body = await readBody(request).catch(() => undefined);
    const { answer, cut, idle } = await this.options.api.serve({ method, url, headers, body });
    if (cut === "before") request.socket.destroy();
    else this.send(request, response, answer, cut !== undefined);
    if (idle !== undefined) this.closeWhenIdle(request.socket, idle);
  }

  /** Unless another request came meanwhile. */
  private closeWhenIdle(socket: net.Socket, ms: number): void {
    const before = socket.bytesRead;
    this.options.clock.after(ms, () => {
      if (socket.bytesRead === before) socket.destroy();
    });
  }

  private send(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer, cut: boolean): void {
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
    if (!cut) response.end(body);
    else response.write(body.subarray(0, Math.ceil(body.length / 2)), () => request.socket.destroy());
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
