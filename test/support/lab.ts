import { cp, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { createSimulator, type Simulator } from "../../src/simulator/index.js";
import { proxmoor, temporaryFolder, type Called, type CallOptions } from "./cli.js";

/** A simulated cluster, a folder with the example manifests, and the program pointed at both. */
export interface Lab {
  readonly simulator: Simulator;
  readonly folder: string;
  readonly manifests: string;
  readonly env: Readonly<Record<string, string>>;
  call(args: readonly string[], options?: CallOptions): Promise<Called>;
  /** A call of PVE's API by somebody else, root's rights; gives `data`. */
  pve(method: string, path: string, params?: Record<string, string | number | boolean>): Promise<unknown>;
  /** Writes of Proxmoor's since the last call of this, as `METHOD /path`. */
  writes(): string[];
  edit(file: string, from: string | RegExp, to: string): Promise<void>;
  /** Starts the simulator again, with the state it had, after `simulator.stop()`. */
  restart(port: number): Promise<void>;
  close(): Promise<void>;
}

export async function openLab(options: { databaseUrl?: string; taskMs?: number } = {}): Promise<Lab> {
  const folder = await temporaryFolder();
  const manifests = path.join(folder.path, "manifests");
  await cp("manifests", manifests, { recursive: true });
  const start = (port: number) =>
    createSimulator({
      profile: "demo",
      seed: 1,
      stateFile: path.join(folder.path, "cluster.json"),
      listen: { host: "127.0.0.1", port },
      // guests boot and shut down at 50 times the speed; tasks take what the test says
      speed: 50,
      taskDuration: () => (options.taskMs ?? 0) * 50,
    });
  let simulator = await start(0);
  const env = {
    ...simulator.settings(),
    HOME: folder.path,
    DATABASE_URL: options.databaseUrl ?? `file:${path.join(folder.path, "proxmoor.db")}`,
  };
  let seen = 0;
  // as if the program were called in the lab's folder
  const inFolder = (arg: string) =>
    arg === "manifests" || /^[a-z]+\.yaml$/.test(arg) ? path.join(folder.path, arg) : arg;
  return {
    get simulator() {
      return simulator;
    },
    folder: folder.path,
    manifests,
    env,
    call: (args, more = {}) => proxmoor(args.map(inFolder), { ...more, env: { ...env, ...more.env } }),
    pve: (method, apiPath, params = {}) => simulator.as("root@pam").call(method, apiPath, params),
    writes: () => {
      const fresh = simulator.requests.slice(seen);
      seen = simulator.requests.length;
      return fresh
        .filter((one) => one.method !== "GET" && one.path !== "/api2/json/access/ticket")
        .map((one) => `${one.method} ${one.path.replace("/api2/json", "")}`);
    },
    edit: async (file, from, to) => {
      const target = path.join(manifests, file);
      const text = await readFile(target, "utf8");
      const edited = text.replace(from, to);
      if (edited === text) throw new Error(`${file} has no ${String(from)}`);
      await writeFile(target, edited);
    },
    restart: async (port) => {
      simulator = await start(port);
      seen = 0;
    },
    close: async () => {
      await simulator.stop();
      await folder.remove();
    },
  };
}
