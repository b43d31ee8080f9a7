import { createSimulator, type Simulator } from "../../../src/simulator/index.js";

const LOGINS: Readonly<Record<string, string>> = {
  ops: "ops@pve!main",
  root: "root@pam",
  limited: "limited@pve!main",
  auditor: "auditor@pve!main",
};

/** A simulator in the conformance profile whose calls answer a printed line: what a reader compares. */
export interface Asked {
  readonly simulator: Simulator;
  /** `who METHOD /path key=value …` below the node pve1 when the path begins with a dot. */
  ask(line: string, params?: Readonly<Record<string, string>>): Promise<string>;
  /** The keys of an object that are asked for, printed. */
  show(path: string, ...keys: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

export async function startAsked(): Promise<Asked> {
  const simulator = await createSimulator({ profile: "conformance", taskDuration: () => 0 });
  const call = (who: string, method: string, path: string, params: Readonly<Record<string, string>>) =>
    simulator.as(LOGINS[who] ?? who).call(method, path.replace(/^\./, "/nodes/pve1"), params);
  return {
    simulator,
    async ask(line, params = {}) {
      const [who = "", method = "", path = "", ...pairs] = line.split(" ");
      const given = Object.fromEntries(
        pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
      );
      try {
        const data = await call(who, method, path, { ...given, ...params });
        if (typeof data !== "string" || !data.startsWith("UPID:")) return JSON.stringify(data);
        const task = (await call("root", "GET", `./tasks/${encodeURIComponent(data)}/status`, {})) as {
          type: string;
          exitstatus?: string;
        };
        return `${task.type}: ${task.exitstatus ?? "running"}`;
      } catch (error) {
        const { status, message, errors } = error as {
          status?: number;
          message: string;
          errors?: Record<string, string>;
        };
        const shown = errors === undefined ? message : JSON.stringify(errors);
        return `${status ?? "?"} ${shown}`;
      }
    },
    async show(path, ...keys) {
      const data = (await call("root", "GET", path, {})) as Record<string, unknown>;
      return keys.map((key) => `${key}: ${JSON.stringify(data[key])}`).join("\n");
    },
    stop: () => simulator.stop(),
  };
}
