import { X509Certificate } from "node:crypto";
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import selfsigned from "selfsigned";

import { createPveClient } from "../../../src/pve/client.js";
import type { PveClient } from "../../../src/pve/client.js";
import type { PveDeps, PveSettings } from "../../../src/pve/settings.js";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage["headers"];
  /** Which connection it came on, counted from 1. */
  readonly connection: number;
}

/** What a handler answers: data, or a whole answer, or `hang`, or `drop` (the connection, without a word). */
export type Reply =
  | { readonly data: unknown }
  | { readonly status: number; readonly reason?: string; readonly body?: string; readonly close?: boolean }
  | "hang"
  | "drop";

export interface TestServer {
  readonly endpoint: string;
  readonly port: number;
  readonly fingerprint: string;
  readonly ca: string;
  readonly seen: SeenRequest[];
  /** Connections whose handshake ended, requests or not. */
  connections(): number;
  close(): Promise<void>;
}

/** An HTTPS server on this machine with its own certificate, which answers `/api2/json` as told. */
export async function startServer(handler: (request: SeenRequest, index: number) => Reply): Promise<TestServer> {
  const pem = await selfsigned.generate([{ name: "commonName", value: "test" }], {
    keyType: "ec",
    extensions: [
      { name: "basicConstraints", cA: true },
      { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] },
    ],
  });
  const seen: SeenRequest[] = [];
  const sockets = new Map<Socket, number>();
  const server = createServer({ key: pem.private, cert: pem.cert, keepAliveTimeout: 60_000 }, (request, response) => {
    void readBody(request).then((body) => {
      const [path = "", query = ""] = (request.url ?? "").split("?");
      const entry: SeenRequest = {
        method: request.method ?? "",
        path: path.replace("/api2/json", ""),
        params: Object.fromEntries(
          new URLSearchParams(request.method === "POST" || request.method === "PUT" ? body : query),
        ),
        headers: request.headers,
        connection: sockets.get(request.socket) ?? 0,
      };
      seen.push(entry);
      send(handler(entry, seen.length - 1), response);
    });
  });
  server.on("secureConnection", (socket) => sockets.set(socket, sockets.size + 1));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `https://127.0.0.1:${port}`,
    port,
    fingerprint: new X509Certificate(pem.cert).fingerprint256,
    ca: pem.cert,
    seen,
    connections: () => sockets.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function send(reply: Reply, response: ServerResponse): void {
  if (reply === "hang") return;
  if (reply === "drop") {
    response.socket?.destroy();
    return;
  }
  if ("data" in reply) {
    response.writeHead(200, { "content-type": "application/json;charset=UTF-8" }).end(JSON.stringify(reply));
    return;
  }
  const headers = reply.body === undefined ? {} : { "content-type": "application/json;charset=UTF-8" };
  response.writeHead(reply.status, reply.reason, reply.close === true ? { ...headers, connection: "close" } : headers);
  response.end(reply.body ?? "");
}

export const TOKEN = "ops@pve!main=10000000-0000-4000-8000-000000000001";
export const SECRET = "10000000-0000-4000-8000-000000000001";

/** Servers and clients of one test file, closed at the end of each test. */
export class Rig {
  private readonly closing: (() => Promise<void>)[] = [];
  /** The pauses that the clients asked for, milliseconds. */
  readonly pauses: number[] = [];
  now = 1_000_000;

  async server(handler: Parameters<typeof startServer>[0]): Promise<TestServer> {
    const server = await startServer(handler);
    this.closing.push(() => server.close());
    return server;
  }

  /** Without pauses: `sleep` notes what was asked for; random is always the most. */
  client(server: { endpoint: string; fingerprint?: string }, settings: Partial<PveSettings> = {}): PveClient {
    const deps: PveDeps = {
      now: () => this.now,
      sleep: (ms) => {
        this.pauses.push(ms);
        return Promise.resolve();
      },
      random: () => 0.999_999,
    };
    const client = createPveClient(
      {
        endpoint: server.endpoint,
        auth: { kind: "token", token: TOKEN },
        tls: { fingerprint: server.fingerprint },
        ...settings,
      },
      deps,
    );
    this.closing.push(() => client.close());
    return client;
  }

  async close(): Promise<void> {
    for (const close of this.closing.splice(0).reverse()) await close();
    this.pauses.splice(0);
  }
}

/** How an error reads: code, retry and sentence; fails where there is none. */
export async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    const value = await promise;
    return `no error: ${JSON.stringify(value)}`;
  } catch (error) {
    const { code, retry, message } = error as { code?: string; retry?: string; message: string };
    return `${code ?? "?"} ${retry ?? "?"}: ${message}`;
  }
}
