import { messageOf, ProxmoorError } from "../../model/errors.js";
import {
  createSimulator,
  largeCluster,
  StateFileError,
  type ClusterRecord,
  type Simulator,
  type SimulatorOptions,
} from "../../simulator/index.js";
import { recordOfStore } from "../cluster-record.js";
import { openSession } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { numberOf } from "../look.js";
import { faultRules } from "./simulator-faults.js";

export interface SimulatorCommandOptions {
  readonly listen: string;
  readonly state?: string;
  readonly requestLog?: string;
  readonly profile: string;
  readonly seed?: string;
  /** A database's URL; true for the configured one. */
  readonly fromState?: string | true;
  readonly nodes?: string;
  readonly guests?: string;
  readonly faults?: string;
  readonly fault?: readonly string[];
  readonly latency?: string;
  readonly jitter?: string;
}

const MAX_NODES = 999;
const PROFILES = ["demo", "conformance", "empty"] as const;

/** `proxmoor simulator`: serves until SIGINT or SIGTERM; prints the settings that point proxmoor at it. */
export async function simulator(options: SimulatorCommandOptions, io: Io): Promise<CommandResult> {
  const profile = PROFILES.find((one) => one === options.profile);
  if (!profile)
    throw new ProxmoorError("USAGE", `there is no profile "${options.profile}"`, {
      remedy: `Profiles are ${PROFILES.join(", ")}.`,
    });
  const from = await recordFor(options, io);
  const rules = await faultRules(options);
  const listen = addressOf(options.listen);
  const server = await start(listen, {
    profile,
    ...(from && { from }),
    listen,
    ...(options.seed !== undefined && { seed: numberOf(options.seed, "--seed", 0) }),
    ...(options.state !== undefined && { stateFile: options.state }),
    ...(options.requestLog !== undefined && { requestLog: options.requestLog }),
  });
  if (rules.length > 0) server.faults.add(rules);
  for (const [name, value] of Object.entries(server.settings())) io.out(`export ${name}='${value}'\n`);
  const of = from === undefined ? `profile ${profile}` : `${from.nodes.length} nodes, ${from.guests.length} guests`;
  io.err(`PVE's API is simulated at ${server.url} (${of}); Ctrl-C ends it.\n`);
  if (rules.length > 0) io.err(`It misbehaves by ${rules.length} ${rules.length === 1 ? "rule" : "rules"}.\n`);
  await new Promise<void>((resolve) => {
    if (io.signal.aborted) resolve();
    else io.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.stop();
  return { exitCode: 0 };
}

/** The cluster that the options ask for instead of a profile. Throws USAGE, NOT_FOUND. */
async function recordFor(options: SimulatorCommandOptions, io: Io): Promise<ClusterRecord | undefined> {
  const { fromState, nodes, guests } = options;
  const isLarge = nodes !== undefined || guests !== undefined;
  if (isLarge && fromState !== undefined)
    throw new ProxmoorError("USAGE", "--from-state and --nodes, --guests exclude each other");
  if (isLarge) {
    const count = numberOf(nodes ?? "3", "--nodes", 1);
    if (count > MAX_NODES) throw new ProxmoorError("USAGE", `--nodes takes ${MAX_NODES} at most`);
    return largeCluster({ nodes: count, guests: numberOf(guests ?? "100", "--guests", 0) });
  }
  return fromState === undefined ? undefined : readState(fromState, io);
}

/** What Proxmoor's database last saw. Throws NOT_FOUND where it has seen no cluster yet. */
async function readState(database: string | true, io: Io): Promise<ClusterRecord> {
  const session = await openSession(database === true ? {} : { database }, io);
  try {
    const record = await recordOfStore(session.store.state);
    if (record.nodes.length > 0) return record;
    throw new ProxmoorError("NOT_FOUND", "the database has seen no cluster yet", {
      remedy: "Look at one first: proxmoor diff or proxmoor get nodes.",
    });
  } finally {
    await session.close();
  }
}

async function start(listen: ReturnType<typeof addressOf>, options: SimulatorOptions): Promise<Simulator> {
  try {
    return await createSimulator(options);
  } catch (error) {
    if (error instanceof StateFileError)
      throw new ProxmoorError("STATE_FILE", messageOf(error), {
        cause: error,
        remedy: "Name another file with --state; a damaged one can be removed, the cluster in it is then lost.",
      });
    throw new ProxmoorError("SERVER_LISTEN", `can't listen on ${listen.host}:${listen.port}: ${messageOf(error)}`, {
      cause: error,
      remedy: "Choose another address with --listen; port 0 takes any free one.",
    });
  }
}

/** `HOST:PORT`, `[::1]:PORT` or a port alone on 127.0.0.1. Throws USAGE. */
export function addressOf(text: string): { host: string; port: number } {
  const match = /^(?:(\[[^\]]+\]|[^:]*):)?(\d+)$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) throw new ProxmoorError("USAGE", `an address looks like 127.0.0.1:8006, not "${text}"`);
  return { host: (match[1] ?? "127.0.0.1").replace(/^\[|\]$/g, "") || "127.0.0.1", port };
}
