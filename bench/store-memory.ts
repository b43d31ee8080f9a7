/** One job of bench/store.ts in a process of its own; prints its peak resident memory in MiB. */
import { openStore } from "../src/store/index.js";
import type { StoreSettings } from "../src/store/index.js";
import { record } from "./store-cluster.js";

export interface MemoryJob {
  readonly do: "upsert" | "stream";
  readonly rows: number;
}

async function main(): Promise<void> {
  const { settings, job } = JSON.parse(process.argv[2] ?? "") as { settings: StoreSettings; job: MemoryJob };
  const store = await openStore(settings, { now: Date.now });
  const { nodes, vms } = store.lists;
  if (job.do === "upsert") {
    await nodes.upsert([{ id: "pve1", status: "online" }]);
    await vms.upsert(function* () {
      for (let at = 0; at < job.rows; at++) yield record(100 + at);
    });
  } else {
    let count = 0;
    for await (const vm of vms.stream()) if (vm.config !== undefined) count += 1;
    if (count !== job.rows) throw new Error(`${count} rows of ${job.rows}`);
  }
  await store.close();
  console.log(Math.round(process.resourceUsage().maxRSS / 1024));
}

await main();
