import { ProxmoorError, messageOf } from "../model/errors.js";
import { refKey } from "../model/ref.js";
import type { ObservedGuest } from "../observed/types.js";
import type { Upid } from "../tasks/types.js";
import { isConfigured } from "./settled.js";
import type { StepContext, StepRow } from "./step-context.js";
import { taskTypeOf } from "./task-type.js";
import type { StepRequest, TaskLog } from "./types.js";

const TRIES = 5;

/** A request that went out and got no answer. */
export interface LostWrite {
  readonly row: StepRow;
  readonly request: StepRequest;
  /** The guest as it was read right before. */
  readonly base: ObservedGuest | undefined;
  /** UTC milliseconds. */
  readonly sentAt: number;
  readonly error: ProxmoorError;
}

/**
 * Looks for what became of a lost write, never sends it again. Gives the UPID of its task, undefined where a
 * synchronous change is seen to have been made; throws where it can't be known.
 */
export async function findLost(lost: LostWrite, context: StepContext): Promise<Upid | undefined> {
  const { ports, options } = context;
  const { step } = lost.row;
  const known = await ownUpids(ports.taskLog);
  const node = step.op === "clone" ? step.source.node : step.target.node;
  const hint = {
    node,
    type: taskTypeOf(step),
    vmid: step.target.vmid,
    request: lost.request,
    since: lost.sentAt,
  };
  for (let tries = 0; tries < TRIES; tries++) {
    await ports.clock.sleep(1000 * 2 ** tries, options.signal);
    try {
      if (step.op !== "configure") {
        const upid = await ports.sender.trace(hint, known, options.signal);
        if (upid !== undefined) return upid;
        continue;
      }
      const sight = await ports.sender.look(step.target, options.signal);
      if (sight.at === "present" && isConfigured(step.changes, sight.guest, lost.base)) return undefined;
    } catch (error) {
      // PVE may be away for a moment: that is why the answer was lost
      if (options.signal?.aborted === true || !(error instanceof ProxmoorError)) throw error;
    }
  }
  throw new ProxmoorError("PVE_NO_ANSWER", `${messageOf(lost.error)}; looked for it and found no trace`, {
    subject: refKey(context.ref),
    retry: "later",
    remedy: "Run again: what is there then is looked at first, nothing is sent twice blindly.",
    cause: lost.error,
  });
}

/** UPIDs that rows of ours have already: a lost write's task is none of them. Tasks of others are no hindrance. */
export async function ownUpids(taskLog: TaskLog): Promise<ReadonlySet<Upid>> {
  const rows = await taskLog.list({ limit: 2000 });
  return new Set(rows.flatMap((row) => (row.run !== undefined && row.upid !== undefined ? [row.upid] : [])));
}
