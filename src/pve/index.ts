import type { StepSender } from "../apply/types.js";
import type { ClusterReader } from "../observed/types.js";
import type { PlanPolicy } from "../plan/types.js";
import type { TaskReader } from "../tasks/types.js";
import { createPveClient } from "./client.js";
import { sameRaw } from "./codec/same-raw.js";
import { PveReader } from "./reader.js";
import { PveSender } from "./sender.js";
import type { PveDeps, PveSettings } from "./settings.js";
import { survey, type Survey, type SurveyPlan } from "./survey.js";
import { PveTasks } from "./tasks.js";
import { record, textOf } from "./wire.js";

export type { Oddity } from "./answers.js";
export type { PveDeps, PveSettings } from "./settings.js";
export type { Survey } from "./survey.js";

/** Everything the program needs of a PVE cluster, over one set of connections to one of its nodes. */
export interface Pve {
  readonly reader: ClusterReader;
  readonly sender: StepSender;
  readonly tasks: TaskReader;
  /** PVE's version as the contacted node gives it: `9.2.11`, release `9.2`. */
  version(signal?: AbortSignal): Promise<{ readonly version: string; readonly release: string }>;
  /** What a copy of the cluster needs besides a look at it. */
  survey(plan: SurveyPlan, signal?: AbortSignal): Promise<Survey>;
  readonly sameRaw: PlanPolicy["sameRaw"];
  /** Ends all connections. */
  close(): Promise<void>;
}

/**
 * Opens nothing yet: the first call connects, logs in and checks the certificate.
 *
 * @throws ProxmoorError CONFIG_INVALID for an endpoint or fingerprint that is none.
 */
export function createPve(settings: PveSettings, deps: PveDeps = {}): Pve {
  const client = createPveClient(settings, deps);
  const tasks = new PveTasks(client);
  return {
    reader: new PveReader(client, deps.report),
    sender: new PveSender(client, tasks),
    tasks,
    version: async (signal) => {
      const data = record(await client.get("/version", {}, { signal }), "/version");
      return { version: textOf(data["version"]) ?? "unknown", release: textOf(data["release"]) ?? "unknown" };
    },
    survey: (plan, signal) => survey(client, plan, signal),
    sameRaw,
    close: () => client.close(),
  };
}
