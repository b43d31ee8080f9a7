import type { TaskRecord } from "../../apply/types.js";
import { planChanges } from "../../plan/plan.js";
import { renderPlan } from "../../plan/render.js";
import { openSession, type Session } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { lookAndPlan, policyOf } from "../look.js";
import { readInput } from "../manifest-input.js";
import { toJson } from "../output/json.js";
import { progressView } from "../output/progress.js";
import { formatTable } from "../output/table.js";
import { openRehearsal, type Rehearsal } from "../rehearsal.js";
import { carryOut, runOptions, type ApplyCommandOptions } from "./apply.js";

const DIFFERS = "Warning: the copy's plan is not the cluster's; `proxmoor diff` shows that one.";

const LOCK_PATIENCE_MS = 20_000;

/** How many lines of a failed task's log are shown. */
const LOG_TAIL = 5;

/**
 * `proxmoor apply --rehearse`: the same run on a copy of the cluster, task by task. Neither the cluster nor the
 * database is written to. 0 it would converge, 1 it would not, 2 (thrown) it would not begin.
 */
export async function rehearse(options: ApplyCommandOptions, io: Io): Promise<CommandResult> {
  const input = await readInput(options, io);
  const outer = await openSession(options, io);
  try {
    const rehearsal = await openRehearsal(outer, io.signal);
    const { session } = rehearsal;
    try {
      announce(rehearsal, options.output === "json", io);
      const view = progressView(options.output, io, () => session.clock.now());
      // nobody works on the copy: a lock that is not this run's own never goes away
      const run = { ...runOptions(options, io, input.sourceOf), lockPatience: LOCK_PATIENCE_MS };
      const policy = policyOf(options, session, input.covers);
      const planned = await lookAndPlan(session, input.desired, { policy, signal: io.signal });
      const real = planChanges({ desired: input.desired, ...rehearsal.seen, policy });
      if (renderPlan(real) !== renderPlan(planned.plan)) io.err(`${DIFFERS}\n`);
      // nothing is at stake: what apply would ask about is in the plan
      const given = { planned, session, options: { ...options, yes: true }, run, view };
      return await carryOut({ ...given, rehearsal: () => printTasks(session, run.run, { options, io }) }, io);
    } finally {
      await session.close();
    }
  } finally {
    await outer.close();
  }
}

function announce({ remarks }: Rehearsal, isJson: boolean, io: Io): void {
  const text = "Rehearsal on a copy of the cluster: nothing is changed, neither there nor in the database.";
  if (isJson) io.out(`${toJson({ type: "rehearsal", text, remarks }, true)}\n`);
  else io.out([text, ...remarks, "", ""].join("\n"));
}

/** Every task that the run would start, in the order of their requests, and how each would end. */
async function printTasks(
  { store }: Session,
  run: string,
  { options, io }: { options: ApplyCommandOptions; io: Io },
): Promise<void> {
  const rows = [...(await store.tasks.list({ run, limit: 1_000_000 }))].sort(inOrder);
  if (options.output === "json") {
    for (const { ref, node, type, status, exitStatus, request, log } of rows)
      io.out(`${toJson({ type: "task", ref, node, task: type, status, exitStatus, request, log }, true)}\n`);
    return;
  }
  if (rows.length === 0) return;
  io.out("\nWhat would happen:\n");
  io.out(formatTable(["OBJECT", "TASK", "NODE", "VMID", "END"], rows.map(cells)));
  for (const row of rows.filter((one) => one.status === "ERROR" && one.log.length > 0)) {
    io.out(`\nThe log of ${row.type} for ${row.ref ?? row.resourceId} would end:\n`);
    io.out(
      row.log
        .slice(-LOG_TAIL)
        .map((line) => `  ${line}\n`)
        .join(""),
    );
  }
  io.out("\n");
}

/** Those that were sent, by time; the others after them. */
function inOrder(a: TaskRecord, b: TaskRecord): number {
  return (a.startTime ?? Infinity) - (b.startTime ?? Infinity) || a.id - b.id;
}

function cells({ ref, resourceId, type, node, status, exitStatus }: TaskRecord): string[] {
  const end = status === "OK" ? (exitStatus ?? "OK") : `${status}: ${exitStatus ?? ""}`;
  return [ref ?? resourceId, type, node, resourceId, end];
}
