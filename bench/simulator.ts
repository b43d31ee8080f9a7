/**
 * The simulator's own speed: config reads over keep-alive HTTPS, beside a bare node:https server that answers the same
 * bytes; lists, memory and the state file with 10,000 guests. Servers and client are processes of their own.
 *
 *     node dist/bench/simulator.js [--guests N] [--seconds N]
 */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Pool } from "undici";
import { makeCertificate } from "../src/simulator/http/certificate.js";
import { createSimulator, largeCluster } from "../src/simulator/index.js";

const CONNECTIONS = 16;
const NODES = 10;
const MIB = 2 ** 20;

interface Ready {
  readonly url: string;
  readonly caPem: string;
  readonly token: string;
}

/** What a server process says of itself. */
interface Usage {
  /** CPU milliseconds since it began. */
  readonly cpu: number;
  readonly heap: number;
  readonly rss: number;
  /** The longest time its event loop stood still since the last question, milliseconds. */
  readonly stall: number;
}

/** A server process: says where it is, then answers each message with its usage. */
async function serve(start: () => Promise<Ready>): Promise<void> {
  const ready = await start();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  process.on("message", () => {
    globalThis.gc?.();
    const { user, system } = process.cpuUsage();
    const { heapUsed, rss } = process.memoryUsage();
    const usage: Usage = { cpu: (user + system) / 1000, heap: heapUsed, rss, stall: delay.max / 1e6 };
    delay.reset();
    process.send?.(usage);
  });
  process.send?.(ready);
}

async function simulated(guests: number, stateFile: string | undefined): Promise<Ready> {
  const from = largeCluster({ nodes: NODES, guests });
  const simulator = await createSimulator({ from, ...(stateFile !== undefined && { stateFile }) });
  const { url, caPem, credentials } = simulator;
  return { url, caPem, token: credentials.token };
}

/** The measure: an answer of the same length, made beforehand, from a server that does nothing else. */
async function bare(): Promise<Ready> {
  const simulator = await createSimulator({ from: largeCluster({ nodes: 1, guests: 1 }), listen: false });
  const data = await simulator.as().call("GET", "/nodes/pve1/qemu/100/config");
  await simulator.stop();
  const { key, cert } = await makeCertificate("127.0.0.1", Date.now());
  const body = Buffer.from(JSON.stringify({ data }));
  const server = https.createServer({ key, cert }, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json;charset=UTF-8", "content-length": body.length });
    response.end(body);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  return { url: `https://127.0.0.1:${port}`, caPem: cert, token: "none" };
}

/** A server process and the client's connections to it. */
class Server {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ready: Ready,
    private readonly pool: Pool,
  ) {}

  static async start(args: readonly string[]): Promise<Server> {
    const child = fork(fileURLToPath(import.meta.url), args, { execArgv: ["--expose-gc"] });
    const ready = (await once(child)) as Ready;
    const connect = { ca: ready.caPem, maxCachedSessions: 100 };
    return new Server(child, ready, new Pool(ready.url, { connections: CONNECTIONS, connect }));
  }

  async usage(): Promise<Usage> {
    this.child.send("usage");
    return (await once(this.child)) as Usage;
  }

  async call(method: "GET" | "PUT", apiPath: string, body?: string): Promise<number> {
    const headers = {
      authorization: `PVEAPIToken=${this.ready.token}`,
      ...(body !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
    };
    const answer = await this.pool.request({ method, path: `/api2/json${apiPath}`, headers, body: body ?? null });
    const { byteLength } = await answer.body.arrayBuffer();
    if (answer.statusCode !== 200) throw new Error(`${method} ${apiPath}: ${answer.statusCode}`);
    return byteLength;
  }

  async stop(): Promise<void> {
    await this.pool.destroy();
    this.child.kill("SIGKILL");
  }
}

const once = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`a server ended with ${code ?? "a signal"}`)));
  });

interface Rate {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  /** Milliseconds. */
  readonly stall: number;
}

/** Calls from all connections at once for some seconds: how many a second, and a second of the server's CPU. */
async function rate(server: Server, seconds: number, call: (n: number) => Promise<unknown>): Promise<Rate> {
  const before = await server.usage();
  const start = performance.now();
  let calls = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - start < seconds * 1000) await call(calls++);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const took = (performance.now() - start) / 1000;
  const after = await server.usage();
  return { perSecond: calls / took, perCpuSecond: (1000 * calls) / (after.cpu - before.cpu), stall: after.stall };
}

/** The configuration of the n-th guest, far apart from the one before. */
const configPath = (guests: number) => (n: number) => {
  const index = (n * 7919) % guests;
  return `/nodes/pve${(index % NODES) + 1}/${index % 4 === 3 ? "lxc" : "qemu"}/${100 + index}/config`;
};

/** The median of five, milliseconds. */
async function median(work: () => Promise<unknown>): Promise<number> {
  const all: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    await work();
    all.push(performance.now() - start);
  }
  return all.sort((a, b) => a - b)[2] ?? 0;
}

const rows: string[][] = [];
const note = (what: string, value: string): void => {
  rows.push([what, value]);
  console.log(`${what.padEnd(62)} ${value}`);
};
const whole = (value: number): string => Math.round(value).toLocaleString("en");

async function measureReads(guests: number, seconds: number): Promise<void> {
  const plain = await Server.start(["bare"]);
  const server = await Server.start(["simulator", "--guests", String(guests)]);
  const path = configPath(guests);
  try {
    const quiet = await server.usage();
    note(`memory with ${whole(guests)} guests: heap`, `${whole(quiet.heap / MIB)} MiB`);
    note(`memory with ${whole(guests)} guests: rss`, `${whole(quiet.rss / MIB)} MiB`);
    for (const one of [plain, server]) await rate(one, seconds / 4, (n) => one.call("GET", path(n)));
    const other = await rate(plain, seconds, (n) => plain.call("GET", path(n)));
    const own = await rate(server, seconds, (n) => server.call("GET", path(n)));
    note("bare node:https server, answers a second", whole(other.perSecond));
    note("bare node:https server, answers a CPU second", whole(other.perCpuSecond));
    note("config reads a second", whole(own.perSecond));
    note("config reads a CPU second (one core)", whole(own.perCpuSecond));
    note("the same, of what the bare server does", `${whole((100 * own.perCpuSecond) / other.perCpuSecond)} %`);
    const pending = await rate(server, seconds / 2, (n) => server.call("GET", path(n).replace(/config$/, "pending")));
    note("pending reads a CPU second", whole(pending.perCpuSecond));
    const resources = await median(() => server.call("GET", "/cluster/resources"));
    note(`GET /cluster/resources, ${whole(guests)} guests`, `${whole(resources)} ms`);
    note(
      "GET /nodes/pve1/qemu, a tenth of them",
      `${whole(await median(() => server.call("GET", "/nodes/pve1/qemu")))} ms`,
    );
    const after = await server.usage();
    note("memory after all reads: heap", `${whole(after.heap / MIB)} MiB`);
    note("memory after all reads: rss", `${whole(after.rss / MIB)} MiB`);
  } finally {
    await plain.stop();
    await server.stop();
  }
}

/** One guest changed again and again, while the state goes to a file. */
async function measureStateFile(guests: number, seconds: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "proxmoor-bench-"));
  const file = path.join(folder, "state.json");
  const server = await Server.start(["simulator", "--guests", String(guests), "--state", file]);
  try {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    note("state file", `${whole(statSync(file).size / MIB)} MiB`);
    const writes = await rate(server, seconds, (n) =>
      server.call("PUT", "/nodes/pve1/qemu/100/config", `description=${n}`),
    );
    note("config writes a second with a state file", whole(writes.perSecond));
    note("the longest time that nothing was answered meanwhile", `${whole(writes.stall)} ms`);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    guests: { type: "string", default: "10000" },
    seconds: { type: "string", default: "8" },
    state: { type: "string" },
  },
});
const guests = Number(values.guests);
if (positionals[0] === "bare") await serve(bare);
else if (positionals[0] === "simulator") await serve(() => simulated(guests, values.state));
else {
  await measureReads(guests, Number(values.seconds));
  await measureStateFile(guests, Number(values.seconds) / 2);
  console.log(`\n| What | Measured |\n| --- | --- |\n${rows.map((row) => `| ${row.join(" | ")} |`).join("\n")}`);
}
