import { ProxmoorError } from "../model/errors.js";
import type { Step } from "../plan/types.js";
import { followTask, type TaskEnd } from "../tasks/follow.js";
import type { Upid } from "../tasks/types.js";
import type { ApplyOptions, ApplyPorts } from "./ports.js";

/** A PVE task of ours with its row in the tasks table; `key` is the object's refKey. */
export interface OwnTask {
  readonly id: number;
  readonly upid: Upid;
  readonly op: Step["op"];
  readonly key: string;
}

/** The end of a task that PVE has forgotten. */
export const LOST = "PVE no longer has the task, so that nobody can say how it ended";

/**
 * Follows a task to its end and writes that down. A task that PVE has forgotten has ended, nobody can say how. Throws
 * where PVE can't be asked, and on an abort: the row stays `running` then, for the next run.
 */
export async function followToEnd(
  task: OwnTask,
  { ports, options }: { readonly ports: ApplyPorts; readonly options: ApplyOptions },
): Promise<TaskEnd> {
  const end = await follow(task, ports, options.signal);
  const isPlain = end.exit === "OK";
  await ports.taskLog.finish(task.id, {
    status: end.ok ? "OK" : "ERROR",
    exitStatus: end.exit,
    at: ports.clock.now(),
    ...(!isPlain && { log: end.logTail }),
  });
  return end;
}

async function follow(task: OwnTask, ports: ApplyPorts, signal: AbortSignal | undefined): Promise<TaskEnd> {
  const { key, op } = task;
  try {
    return await followTask(ports.pveTasks, task.upid, {
      sleep: (ms, ended) => ports.clock.sleep(ms, ended),
      ...(signal && { signal }),
      onLog: (lines) => {
        const percent = lines.findLast((line) => line.percent !== undefined)?.percent;
        const text = lines.at(-1)?.text ?? "";
        ports.onEvent({ type: "step-progress", key, op, text, ...(percent !== undefined && { percent }) });
      },
    });
  } catch (error) {
    if (!(error instanceof ProxmoorError) || error.code !== "PVE_TASK_LOST") throw error;
    return { exit: LOST, ok: false, warnings: 0, logTail: [] };
  }
}
