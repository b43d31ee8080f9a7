import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { StoreSettings } from "../../src/store/index.js";
import type { Job } from "./store-worker.js";

const WORKER = fileURLToPath(new URL("./store-worker.js", import.meta.url));

/** A process of its own that opens the database and does a job. */
export function storeProcess(settings: StoreSettings, job: Job) {
  const child = spawn(process.execPath, [WORKER, JSON.stringify({ settings, job })]);
  const errors = text(child.stderr);
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit");
  return {
    /** Resolves when it printed a line that starts so. */
    async printed(start: string): Promise<void> {
      for await (const line of lines) if (line.startsWith(start)) return;
      throw new Error(`the process ended before it printed ${start}: ${await errors}`);
    },
    /** Resolves when it ended; rejects with what it printed to stderr where it failed. */
    async done(): Promise<void> {
      const [code] = (await ended) as [number | null];
      if (code !== 0) throw new Error(`exit ${code}: ${await errors}`);
    },
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
