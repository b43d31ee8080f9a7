/**
 * The database's speed and memory, as ratios within one run: `node dist/bench/store.js [sqlite|postgresql]`.
 * PostgreSQL is started for the run, as for the tests. Prints the table of docs/performance.md.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { openStore } from "../src/store/index.js";
import type { Store, StoreSettings } from "../src/store/index.js";
import { mochaGlobalSetup, mochaGlobalTeardown, postgresUrl } from "../test/support/postgres.js";
import { postgresQuery } from "../test/support/database.js";
import { copyRows, readRows } from "./store-by-hand.js";
import { cluster } from "./store-cluster.js";
import type { MemoryJob } from "./store-memory.js";

const GUESTS = 10_000;
const SNAPSHOTS = 100_000;
const RUNS = 3;
const PAGE_RUNS = 200;
const MEMORY = fileURLToPath(new URL("./store-memory.js", import.meta.url));

interface Line {
  readonly what: string;
  readonly a: string;
  readonly b: string;
  readonly ratio: number;
  readonly limit: number;
}

type Fresh = () => Promise<StoreSettings>;

const open = (settings: StoreSettings): Promise<Store> => openStore(settings, { now: Date.now });

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

async function syncLines(fresh: Fresh): Promise<Line[]> {
  const [first, second, byHand]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < RUNS; run++) {
    const settings = await fresh();
    const store = await open(settings);
    const [look, again] = [cluster(GUESTS, 1), cluster(GUESTS, 2)];
    first.push(await timed(() => store.state.sync(look)));
    second.push(await timed(() => store.state.sync(again)));
    await store.close();
    const rows = await readRows(settings);
    const target = await fresh();
    await (await open(target)).close();
    byHand.push(await copyRows(target, rows));
  }
  const [a, b, hand] = [median(first), median(second), median(byHand)];
  return [
    {
      what: `first sync of ${GUESTS} guests / the same inserts by hand`,
      a: ms(a),
      b: ms(hand),
      ratio: a / hand,
      limit: 3,
    },
    { what: "sync of the unchanged cluster / first sync", a: ms(b), b: ms(a), ratio: b / a, limit: 0.25 },
  ];
}

/** Without a limit V8 lets garbage lie as long as there is room: that peak says when it collects, not what is needed. */
const HEAP = ["--max-old-space-size=40", "--max-semi-space-size=1"];

/** In a process of its own, whose peak is nobody else's. MiB. */
async function peak(settings: StoreSettings, job: MemoryJob): Promise<number> {
  const child = spawn(process.execPath, [...HEAP, MEMORY, JSON.stringify({ settings, job })], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return Number(await text(child.stdout));
}

async function memoryLines(fresh: Fresh): Promise<Line[]> {
  const peaks: Record<string, number> = {};
  for (const rows of [10_000, 100_000]) {
    const settings = await fresh();
    peaks[`upsert ${rows}`] = await peak(settings, { do: "upsert", rows });
    peaks[`stream ${rows}`] = await peak(settings, { do: "stream", rows });
  }
  return ["stream", "upsert"].map((what) => {
    const [a, b] = [peaks[`${what} 100000`] ?? NaN, peaks[`${what} 10000`] ?? NaN];
    const name = what === "stream" ? "a streaming read" : "a bulk upsert";
    return {
      what: `peak memory of ${name}, 100,000 / 10,000 rows`,
      a: `${a} MiB`,
      b: `${b} MiB`,
      ratio: a / b,
      limit: 1.2,
    };
  });
}

async function pageLines(fresh: Fresh): Promise<Line[]> {
  const store = await open(await fresh());
  const { snapshots } = store.lists;
  await snapshots.upsert(function* () {
    for (let id = 1; id <= SNAPSHOTS; id++) {
      const resource = { resourceType: "vm", resourceId: String(100 + (id % 10_000)), resourceData: { id } } as const;
      yield {
        id: BigInt(id),
        snapshotTime: id,
        ...resource,
        changeType: "updated" as const,
        changedPaths: ["config.memory"],
      };
    }
  });
  const last = await snapshots.page({}, { limit: 101, order: "desc" });
  let after: string | undefined;
  for (let place = await snapshots.page({}, { limit: 1000 }); place.next !== undefined;) {
    after = place.next;
    place = await snapshots.page({}, { limit: 1000, after });
    if ((place.items.at(-1)?.id ?? 0n) >= (last.items.at(-1)?.id ?? 0n)) break;
  }
  const [start, end]: [number[], number[]] = [[], []];
  for (let run = 0; run < PAGE_RUNS; run++) {
    start.push(await timed(() => snapshots.page({}, { limit: 100 })));
    end.push(await timed(() => snapshots.page({}, { limit: 100, after })));
  }
  await store.close();
  const [a, b] = [median(end), median(start)];
  return [
    {
      what: `a page of 100 at the end of ${SNAPSHOTS} snapshots / at the start`,
      a: ms(a),
      b: ms(b),
      ratio: a / b,
      limit: 1.5,
    },
  ];
}

function table(provider: string, lines: readonly Line[]): string {
  return lines
    .map((line) => `| ${provider} | ${line.what} | ${line.a} | ${line.b} | ${line.ratio.toFixed(2)} | ${line.limit} |`)
    .join("\n");
}

async function main(only: string | undefined): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "proxmoor-bench-"));
  let count = 0;
  const fresh: Record<string, Fresh> = {
    sqlite: () => Promise.resolve({ provider: "sqlite", file: join(folder, `${++count}.db`) }),
    postgresql: async () => {
      const name = `bench_${++count}`;
      const maintenance = await postgresUrl();
      await postgresQuery(maintenance, `CREATE DATABASE ${name}`);
      return { provider: "postgresql", url: Object.assign(new URL(maintenance), { pathname: `/${name}` }).href };
    },
  };
  await mochaGlobalSetup();
  try {
    console.log("| Database | What | | | Ratio | At most |\n| --- | --- | --- | --- | --- | --- |");
    for (const [provider, make] of Object.entries(fresh)) {
      if (only !== undefined && only !== provider) continue;
      for (const part of [syncLines, memoryLines, pageLines]) console.log(table(provider, await part(make)));
    }
  } finally {
    await mochaGlobalTeardown();
    await rm(folder, { recursive: true, force: true });
  }
}

await main(process.argv[2]);
