import { ProxmoorError, messageOf } from "../model/errors.js";
import { refKey } from "../model/ref.js";
import type { GuestStatus, ObservedGuest, Sight } from "../observed/types.js";
import type { Step } from "../plan/types.js";
import type { TaskEnd } from "../tasks/follow.js";
import type { Upid } from "../tasks/types.js";
import { followToEnd, LOST } from "./follow.js";
import { findLost } from "./lost.js";
import { isGrown, movedFields } from "./settled.js";
import type { StepContext, StepRow } from "./step-context.js";

const AFTER: Partial<Record<Step["op"], GuestStatus>> = {
  start: "running",
  reboot: "running",
  stop: "stopped",
  shutdown: "stopped",
};
const AWAIT_STATUS_MS = 60_000;
/** Somebody who edits the guest again and again is not raced for ever. */
const DIGEST_TRIES = 5;

/**
 * One write from the look before it to its end in the tasks table; every further try gets a row of its own (`again`).
 * Gives PVE's warnings where it ended with some. Throws ProxmoorError; the row is ended, but for an abort or an answer that never came: then the next run picks it up.
 */
export async function runStep(
  row: StepRow,
  again: () => Promise<number>,
  context: StepContext,
): Promise<string | undefined> {
  const { ports, options } = context;
  const { step } = row;
  const started = ports.clock.now();
  let id = row.id;
  for (let attempt = 0; ; attempt++) {
    const base = await lookBefore(step, context);
    if (base === "done") {
      await ports.taskLog.finish(id, { status: "OK", exitStatus: "nothing to do", at: ports.clock.now() });
      return undefined;
    }
    try {
      const warnings = await submit({ id, step }, base, context);
      await awaitState(step, context);
      return warnings;
    } catch (error) {
      const ms = pauseBeforeRetry(error, { attempt, waited: ports.clock.now() - started }, context);
      if (ms === undefined) throw error;
      ports.onEvent({ type: "step-waiting", key: refKey(context.ref), op: step.op, text: messageOf(error), ms });
      await ports.clock.sleep(ms, options.signal);
      id = await again();
    }
  }
}

/** Milliseconds, for what PVE refused because of somebody else: a lock that is held, a config that changed meanwhile. */
function pauseBeforeRetry(
  error: unknown,
  { attempt, waited }: { attempt: number; waited: number },
  { ports, options }: StepContext,
): number | undefined {
  if (!(error instanceof ProxmoorError)) return undefined;
  const jitter = 0.5 + ports.clock.random() / 2;
  // a log-in that had ended and was renewed
  const isRenewed = error.code === "PVE_AUTH" && error.retry === "later";
  if ((error.code === "PVE_DIGEST" || isRenewed) && attempt < DIGEST_TRIES) return Math.round(500 * jitter);
  if (error.code !== "PVE_LOCKED" || waited > options.lockPatience) return undefined;
  return Math.round(Math.min(15_000, 1000 * 2 ** attempt) * jitter);
}

/** The guest as it is right before the write, its identity checked; `done` where the step has nothing left to do. */
async function lookBefore(step: Step, context: StepContext): Promise<ObservedGuest | undefined | "done"> {
  const sight = await context.ports.sender.look(step.target, context.options.signal);
  const subject = refKey(context.ref);
  const makes = step.op === "create" || step.op === "clone";
  switch (sight.at) {
    case "unreadable":
      throw new ProxmoorError("PVE_NODE_OFFLINE", `${sight.node} does not answer: ${sight.reason}`, {
        subject,
        retry: "later",
        remedy: "Run again when the node is back.",
      });
    case "absent":
      if (makes) return undefined;
      if (step.op === "destroy") return "done";
      throw new ProxmoorError("PVE_NOT_FOUND", `vmid ${step.target.vmid} is gone from ${step.target.node}`, {
        subject,
        retry: "later",
        remedy: "Run again: the plan will be made anew.",
      });
    case "present":
      checkIdentity(step, sight.guest, context);
      // ours already: a run that was cut off made it
      return makes ? "done" : unlessDone(step, sight.guest, context);
  }
}

function checkIdentity(step: Step, guest: ObservedGuest, { origin, ref }: StepContext): void {
  if (guest.identities.includes(step.target.identity)) return;
  if (origin === "adopted" && step.op === "configure" && guest.identities.length === 0) return;
  throw new ProxmoorError(
    "APPLY_IDENTITY",
    `vmid ${guest.vmid} on ${guest.node} belongs to another guest, "${guest.name ?? ""}" with identity ${guest.identities[0] ?? "none"}; ours has ${step.target.identity}`,
    {
      subject: refKey(ref),
      remedy: "Nothing was changed. Look at that guest in PVE; adopt it or choose another vmid.",
    },
  );
}

function unlessDone(step: Step, guest: ObservedGuest, { origin, ref }: StepContext): ObservedGuest | "done" {
  if (step.op === "resize") return isGrown(step, guest) ? "done" : guest;
  // PVE took all of it live, or what was pending is back to what counts now
  if (step.op === "reboot") return guest.pendingFields.length === 0 ? "done" : guest;
  if (step.op !== "configure") return AFTER[step.op] === guest.status ? "done" : guest;
  const moved = origin === "made" ? [] : movedFields(step.changes, guest);
  if (moved.length === 0) return guest;
  throw new ProxmoorError("APPLY_STALE", `somebody else changed ${moved.join(", ")} since the plan was made`, {
    subject: refKey(ref),
    retry: "later",
    remedy: "Nothing more was changed. Look at the new plan and apply again.",
  });
}

async function submit(
  row: StepRow,
  base: ObservedGuest | undefined,
  context: StepContext,
): Promise<string | undefined> {
  const { ports, ref } = context;
  const key = refKey(ref);
  const request = ports.sender.describe(row.step, base);
  await context.lease.confirm();
  const sentAt = ports.clock.now();
  await ports.taskLog.begin(row.id, request, sentAt);
  let upid: Upid | undefined;
  try {
    // no signal: a write that is on its way is waited for, so that its UPID is stored
    upid = (await ports.sender.send(row.step, base)).upid;
  } catch (error) {
    if (!(error instanceof ProxmoorError)) throw error;
    const status = error.code === "PVE_NO_ANSWER" ? "unknown" : "ERROR";
    await ports.taskLog.finish(row.id, { status, exitStatus: messageOf(error), at: ports.clock.now() });
    if (status === "ERROR") throw error;
    upid = await findLost({ row, request, base, sentAt, error }, context);
  }
  if (upid === undefined) {
    await ports.taskLog.finish(row.id, { status: "OK", exitStatus: "OK", at: ports.clock.now() });
    return undefined;
  }
  await ports.taskLog.attach(row.id, upid);
  ports.onEvent({ type: "step-submitted", key, op: row.step.op, upid });
  const end = await followToEnd({ id: row.id, upid, op: row.step.op, key }, context);
  if (end.ok) return end.warnings === 0 ? undefined : warningsOf(end);
  ports.onEvent({ type: "step-failed", key, op: row.step.op, text: end.exit, log: end.logTail });
  if (end.exit !== LOST) throw ports.sender.explain(end.exit, key);
  throw new ProxmoorError("PVE_TASK_LOST", end.exit, {
    subject: key,
    retry: "later",
    remedy: "Run again: the guest is looked at first, and only what is missing is done.",
  });
}

/** PVE's own words, which its log has as `WARN: …`. */
function warningsOf({ exit, logTail }: TaskEnd): string {
  const lines = logTail.filter((line) => line.startsWith("WARN: ")).map((line) => line.slice("WARN: ".length));
  return lines.join("; ") || exit;
}

/** A task may end before the guest is where it should be (reboot, HA): wait for it. */
async function awaitState(step: Step, { ports, options, ref }: StepContext): Promise<void> {
  const wanted = step.op === "destroy" ? "absent" : AFTER[step.op];
  if (wanted === undefined) return;
  const until = ports.clock.now() + AWAIT_STATUS_MS;
  for (let wait = 200; ; wait = Math.min(3000, wait * 2)) {
    const sight = await ports.sender.look(step.target, options.signal);
    checkStillOurs(step, sight, ref);
    if (isReached(step, wanted, sight)) return;
    if (ports.clock.now() > until)
      throw new ProxmoorError(
        "PVE_TASK_FAILED",
        `${step.op} ended, but after ${AWAIT_STATUS_MS / 1000} s the guest is ${sight.at === "present" ? sight.guest.status : sight.at}, not ${wanted}`,
        { subject: refKey(ref), retry: "later" },
      );
    await ports.clock.sleep(wait, options.signal);
  }
}

/** PVE takes no condition with a power call: a guest that was replaced after the look before it was hit by it. */
function checkStillOurs(step: Step, sight: Sight, ref: StepContext["ref"]): void {
  if (step.op === "destroy" || sight.at !== "present" || sight.guest.identities.includes(step.target.identity)) return;
  const { vmid, node, name = "", identities } = sight.guest;
  throw new ProxmoorError(
    "APPLY_IDENTITY",
    `vmid ${vmid} on ${node} was given to another guest right before the ${step.op}, "${name}" with identity ${identities[0] ?? "none"}; ours had ${step.target.identity}`,
    {
      subject: refKey(ref),
      remedy: `That guest is ${sight.guest.status} now. Look at it in PVE; choose another vmid for ours, or remove the old entry with --forget.`,
    },
  );
}

function isReached(step: Step, wanted: GuestStatus | "absent", sight: Sight): boolean {
  if (sight.at !== "present") return sight.at === wanted;
  const { guest } = sight;
  // another guest that was given the freed vmid meanwhile
  if (wanted === "absent") return !guest.identities.includes(step.target.identity);
  return guest.status === wanted && (step.op !== "reboot" || guest.pendingFields.length === 0);
}
