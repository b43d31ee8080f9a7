import fastify from "fastify";
import type { ControllerStatus } from "../controller/ports.js";
import { ProxmoorError } from "../model/errors.js";
import type { PrometheusMetrics } from "./metrics.js";

export interface HttpOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly metrics: PrometheusMetrics;
  readonly status: () => ControllerStatus;
  /** Looks whether the database answers; throws where it does not. */
  readonly database: () => Promise<unknown>;
}

/**
 * `/healthz` (the process lives), `/readyz` (database, PVE and manifests, each with its state) and `/metrics`.
 * Throws SERVER_LISTEN where the address can't be had.
 */
export async function serveHttp(options: HttpOptions): Promise<{ readonly url: string; close(): Promise<void> }> {
  const app = fastify({ bodyLimit: 16_384, forceCloseConnections: true });
  app.get("/healthz", () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const { ready, checks } = await readiness(options);
    return reply.code(ready ? 200 : 503).send({ status: ready ? "ready" : "not ready", checks });
  });
  app.get("/metrics", async (_request, reply) =>
    reply.type(options.metrics.registry.contentType).send(await options.metrics.registry.metrics()),
  );
  try {
    const url = await app.listen({ host: options.host, port: options.port });
    return { url, close: () => app.close() };
  } catch (error) {
    await app.close();
    throw new ProxmoorError("SERVER_LISTEN", `can't listen on ${options.host}:${options.port}`, {
      cause: error,
      remedy: "Choose another address with --listen, or --listen off.",
    });
  }
}

async function readiness({
  status,
  database,
}: HttpOptions): Promise<{ ready: boolean; checks: Record<string, string> }> {
  const now = status();
  const checks: Record<string, string> = {
    database: await database().then(
      () => "ok",
      () => "does not answer",
    ),
    pve: now.pollError ?? (now.lastPoll === undefined ? "not looked at yet" : "ok"),
    manifests: now.faults.length === 0 ? "ok" : `${now.faults.length} faults; what was good before stays in force`,
  };
  return { ready: checks["database"] === "ok" && checks["pve"] === "ok", checks };
}
