import { pino } from "pino";
import { Controller } from "../../controller/controller.js";
import { DirectorySource } from "../../controller/directory-source.js";
import type { Log } from "../../controller/ports.js";
import { PrometheusMetrics } from "../../http/metrics.js";
import { serveHttp } from "../../http/server.js";
import { ProxmoorError } from "../../model/errors.js";
import { openSession, type GlobalOptions, type Session } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { policyOf, type PlanOptions } from "../look.js";
import { sourcesOf, type ManifestOptions } from "../manifest-input.js";
import { runOptions } from "./apply.js";
import { addressOf } from "./simulator.js";

export interface ControllerCommandOptions extends GlobalOptions, ManifestOptions, PlanOptions {
  readonly interval?: string;
  readonly listen?: string;
  readonly grace?: string;
  readonly concurrency?: string;
  readonly logLevel: string;
}

/** `proxmoor controller`: runs until SIGTERM or SIGINT. */
export async function controller(options: ControllerCommandOptions, io: Io): Promise<CommandResult> {
  const inputs = options.filename ?? [];
  if (inputs.length === 0 || inputs.includes("-"))
    throw new ProxmoorError(
      "USAGE",
      inputs.length === 0 ? "no manifests are given" : "the controller can't watch standard input",
      { remedy: "Name files or folders with -f." },
    );
  const session = await openSession(options, io);
  try {
    return await runController({ options, inputs, session }, io);
  } finally {
    await session.close();
  }
}

async function runController(
  { options, inputs, session }: { options: ControllerCommandOptions; inputs: readonly string[]; session: Session },
  io: Io,
): Promise<CommandResult> {
  const recursive = options.recursive === true;
  const { covers, sourceOf } = sourcesOf(inputs, recursive);
  const { store, clock } = session;
  const { reader, sender, tasks } = session.pve();
  const metrics = new PrometheusMetrics();
  const log = logTo(io, options.logLevel);
  const { signal: _signal, run: _run, ...apply } = runOptions(options, io, sourceOf);
  const loop = new Controller(
    {
      reader,
      sender,
      pveTasks: tasks,
      taskLog: store.tasks,
      resources: store.resources,
      leases: store.leases,
      events: store.events,
      state: store.state,
      source: new DirectorySource(inputs, { recursive, covers }),
      clock,
      isGone: io.isGone,
      log,
      metrics,
    },
    {
      policy: policyOf(options, session, covers),
      apply,
      interval: secondsOf(options.interval ?? "10", "--interval"),
      resyncEvery: 30,
      workers: apply.concurrency,
      grace: secondsOf(options.grace ?? "30", "--grace"),
    },
  );
  const listen = options.listen ?? "127.0.0.1:9469";
  const server =
    listen === "off"
      ? undefined
      : await serveHttp({
          ...addressOf(listen),
          metrics,
          status: () => loop.status,
          database: () => store.leases.holder("controller"),
        });
  log.info({ files: inputs, http: server?.url ?? "off" }, "health and metrics are served");
  try {
    await loop.run(io.signal);
    return { exitCode: 0 };
  } finally {
    await server?.close();
  }
}

function secondsOf(text: string, flag: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value * 1000;
  throw new ProxmoorError("USAGE", `${flag} must be a number of seconds, not "${text}"`);
}

/** JSON lines on standard output. What could be a secret is masked by its key, whatever module logs it. */
function logTo(io: Io, level: string): Log {
  const secret = ["password", "cipassword", "token", "apiToken", "secret", "ticket", "authorization"];
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secret.flatMap((key) => [key, `*.${key}`]), censor: "***" },
    },
    { write: (line: string) => io.out(line) },
  );
}
