import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../../src/store/index.js";
import type { Store, StoreSettings } from "../../src/store/index.js";
import { guest, observedState } from "./observed.js";

/** What a second process does with the database; see store-process.ts. */
export type Job =
  | { readonly do: "open" }
  /** Counts a resource's generation up, reads, and takes a lease, all at once. */
  | {
      readonly do: "work";
      readonly name: string;
      readonly writers: number;
      readonly readers: number;
      readonly rounds: number;
    }
  /** Synchronises ever new guests until it is killed; tells when each has begun. */
  | { readonly do: "sync forever"; readonly guests: number };

async function main(): Promise<void> {
  const { settings, job } = JSON.parse(process.argv[2] ?? "") as { settings: StoreSettings; job: Job };
  const store = await openStore(settings, { now: Date.now });
  process.stdout.write("open\n");
  if (job.do === "work") await work(store, job);
  if (job.do === "sync forever") await syncForever(store, job.guests);
  await store.close();
}

async function work(store: Store, job: Extract<Job, { do: "work" }>): Promise<void> {
  const writer = async (number: number): Promise<void> => {
    for (let round = 0; round < job.rounds; round++) {
      const name = `${job.name}-${number}-${round}`;
      const row = { node: "pve1", type: "configure", resourceType: "vm", resourceId: "100", run: name } as const;
      const [id = 0] = await store.tasks.plan([row]);
      await store.tasks.begin(id, { method: "PUT", path: "/x", params: {} }, round);
      await store.tasks.attach(id, `UPID:${name}`);
      await store.tasks.finish(id, { status: "OK", at: round });
      await store.events.record({ time: 1, type: "Normal", reason: "Worked", message: "worked" });
    }
  };
  let writing = true;
  const reader = async (): Promise<void> => {
    while (writing) {
      await store.tasks.list({ limit: 10 });
      await store.resources.inventory(0);
      await sleep(1);
    }
  };
  const readers = Array.from({ length: job.readers }, reader);
  await Promise.all(Array.from({ length: job.writers }, (_, number) => writer(number)));
  writing = false;
  await Promise.all(readers);
}

async function syncForever(store: Store, count: number): Promise<void> {
  for (let round = 1; ; round++) {
    const guests = Array.from({ length: count }, (_, index) => guest(100 + index, { round: String(round) }));
    process.stdout.write(`round ${round}\n`);
    await store.state.sync(observedState({ takenAt: round, guests }));
  }
}

await main();
