import { randomUUID } from "node:crypto";
import type { Outcome, RunResult } from "../../apply/events.js";
import type { ApplyOptions, ApplyPorts } from "../../apply/ports.js";
import { recoverTasks } from "../../apply/recover.js";
import { replanner } from "../../apply/replan.js";
import { runPlan } from "../../apply/run.js";
import { guardPlan, hasChanges } from "../../plan/guards.js";
import { planToJson } from "../../plan/render.js";
import type { Plan } from "../../plan/types.js";
import { openSession, type GlobalOptions, type Session } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { look, lookAndPlan, numberOf, policyOf, type Planned, type PlanOptions } from "../look.js";
import { readInput, type ManifestInput, type ManifestOptions } from "../manifest-input.js";
import { toJson } from "../output/json.js";
import { progressView, type ProgressView } from "../output/progress.js";
import { formatDuration } from "../output/table.js";
import { confirmDisruptions } from "../prompt.js";
import { printPlan } from "./diff.js";

/** The options of whatever carries out a plan. */
export interface RunOptions extends GlobalOptions {
  readonly yes?: boolean;
  readonly output?: string;
  readonly concurrency?: string;
}

export interface ApplyCommandOptions extends RunOptions, ManifestOptions, PlanOptions {
  readonly dryRun?: boolean;
  readonly rehearse?: boolean;
}

/** `proxmoor apply`: 0 converged, 1 not converged, 2 (thrown) nothing was changed. */
export async function apply(options: ApplyCommandOptions, io: Io): Promise<CommandResult> {
  const input = await readInput(options, io);
  const session = await openSession(options, io);
  try {
    const view = progressView(options.output, io, () => session.clock.now());
    const run = runOptions(options, io, input.sourceOf);
    if (options.dryRun !== true) await recover(session, { run, view }, io);
    const policy = policyOf(options, session, input.covers);
    const planned = await lookAndPlan(session, input.desired, { policy, signal: io.signal });
    return await carryOut({ planned, session, options, run, view, dryRun: options.dryRun === true }, io);
  } finally {
    await session.close();
  }
}

/** How a run is to go. Throws USAGE. */
export function runOptions(options: RunOptions, io: Io, sourceOf: ManifestInput["sourceOf"]): ApplyOptions {
  const concurrency = numberOf(options.concurrency ?? "8", "--concurrency", 1);
  return {
    run: randomUUID(),
    holder: io.holder,
    sourceOf,
    concurrency,
    perNode: Math.min(4, concurrency),
    lockPatience: 120_000,
    quarantine: 24 * 3_600_000,
    signal: io.signal,
  };
}

function portsOf(session: Session, rest: Pick<ApplyPorts, "replan" | "onEvent" | "isGone">): ApplyPorts {
  const { store, clock } = session;
  const { sender, tasks } = session.pve();
  return {
    sender,
    pveTasks: tasks,
    taskLog: store.tasks,
    resources: store.resources,
    leases: store.leases,
    events: store.events,
    clock,
    ...rest,
  };
}

/** Picks up what an earlier run left, before anything is looked at. */
export async function recover(session: Session, how: { run: ApplyOptions; view: ProgressView }, io: Io): Promise<void> {
  const { run, view } = how;
  const unfinished = await session.store.tasks.unfinished();
  if (unfinished.length === 0) return;
  const ports = portsOf(session, {
    replan: () => Promise.resolve(undefined),
    isGone: io.isGone,
    onEvent: (event) => view.event(event),
  });
  await recoverTasks(ports, run);
  view.end();
}

export interface CarryOut {
  readonly planned: Planned;
  readonly session: Session;
  readonly options: RunOptions;
  readonly run: ApplyOptions;
  readonly view: ProgressView;
  readonly dryRun?: boolean;
  /** On a copy of the cluster: tells the tasks before the ending. */
  readonly rehearsal?: () => Promise<void>;
}

/** Shows the plan, asks, runs it, looks again and tells how it came out. */
export async function carryOut(
  { planned, session, options, run, view, dryRun, rehearsal }: CarryOut,
  io: Io,
): Promise<CommandResult> {
  const { plan, observed, policy } = planned;
  const isJson = options.output === "json";
  if (isJson) io.out(`${toJson({ type: "plan", ...planToJson(plan) }, true)}\n`);
  else printPlan(plan, undefined, io);
  guardPlan(plan, policy);
  if (dryRun === true) {
    if (!isJson) io.out(`Dry run: nothing was changed.\n${stepList(plan)}`);
    return { exitCode: 0 };
  }
  await confirmDisruptions(
    plan.changes.flatMap((change) => change.disruptions),
    options.yes === true,
    io,
  );
  const { sender } = session.pve();
  const replan = replanner({
    observed,
    policy,
    sender,
    resources: session.store.resources,
    clock: session.clock,
    signal: io.signal,
  });
  const ports = portsOf(session, { replan, isGone: io.isGone, onEvent: (event) => view.event(event) });
  const started = session.clock.now();
  const result = await runPlan(plan, ports, run);
  view.end();
  if (!result.interrupted && hasChanges(plan)) await look(session);
  const took = session.clock.now() - started;
  await rehearsal?.();
  const converged = [...result.outcomes.values()].every((outcome) => outcome.result === "done");
  if (isJson)
    io.out(
      `${toJson({ type: "result", converged, interrupted: result.interrupted, ms: took, outcomes: result.outcomes }, true)}\n`,
    );
  else if (hasChanges(plan)) io.out(renderResult(result, took));
  return { exitCode: converged ? 0 : 1 };
}

function stepList(plan: Plan): string {
  const busy = plan.changes.filter((change) => change.steps.length > 0);
  if (busy.length === 0) return "";
  const lines = busy.map((change) => {
    const kind = change.ref.kind === "VirtualMachine" ? "vm" : "ct";
    return `  ${kind}/${change.ref.name}: ${change.steps.map((step) => (step.op === "resize" ? `resize ${step.disk}` : step.op)).join(", ")}`;
  });
  return `Steps:\n${lines.join("\n")}\n`;
}

/** The ending: what was done, what was not and why, what waits. */
function renderResult(result: RunResult, took: number): string {
  const of = <R extends Outcome["result"]>(kind: R) =>
    [...result.outcomes].filter(
      (entry): entry is [string, Extract<Outcome, { result: R }>] => entry[1].result === kind,
    );
  const done = of("done").filter(([, outcome]) => outcome.action !== "keep");
  const failed = of("failed");
  const skipped = of("skipped");
  const interrupted = of("interrupted");
  const lines = [`${done.length} done, ${failed.length} failed, ${skipped.length} skipped in ${formatDuration(took)}.`];
  for (const [key, outcome] of failed) {
    lines.push(`  failed   ${key}: ${outcome.text} [${outcome.code}]`);
    if (outcome.remedy !== undefined) lines.push(`           ${outcome.remedy}`);
  }
  for (const [key, outcome] of skipped) lines.push(`  skipped  ${key}: ${outcome.because}`);
  for (const [key, { sent }] of interrupted)
    lines.push(
      sent
        ? `  stopped  ${key}: interrupted; what runs in PVE goes on, the next apply picks it up`
        : `  stopped  ${key}: interrupted before anything was sent`,
    );
  for (const [key, outcome] of done)
    if (outcome.pending.length > 0) lines.push(`  restart  ${key}: waits for a restart: ${outcome.pending.join(", ")}`);
  return `${lines.join("\n")}\n`;
}
