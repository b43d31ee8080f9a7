import type { SimulatorClock } from "../clock.js";
import { faultText } from "../fault.js";
import type { Random } from "../random.js";
import type { Locks } from "../state/locks.js";
import type { State, Task } from "../state/model.js";
import { printUpid } from "./upid.js";

/** What the runner needs of the world around it. */
export interface TaskHost {
  readonly state: State;
  readonly clock: SimulatorClock;
  readonly random: Random;
  readonly locks: Locks;
  seconds(): number;
  after(ms: number, action: () => void): () => void;
  changed(): void;
  /** Milliseconds that slow storages hold up the work just done. */
  takeOwed(): number;
}

/** What befalls a task on purpose. */
export interface TaskFault {
  /** Milliseconds that it takes longer. */
  readonly delay?: number;
  readonly how?: "fail" | "hang" | "warn" | "vanish";
  readonly text?: string;
  /** Fails after its work is done. */
  readonly done?: boolean;
}

/** What a task waits for: milliseconds of simulated time, or a lock that it then holds to its end. */
export type Pause = number | { readonly lock: string; readonly wait: number; readonly text: string };

/** The work of a task; every `yield` is a wait, a throw is `TASK ERROR`. */
export type Work = Generator<Pause, void, void>;

export interface TaskPlan {
  readonly node: string;
  readonly type: string;
  readonly id: string;
  readonly user: string;
  readonly work: (log: TaskLog) => Work;
}

/** Lines of a task's log; a warning counts for the exit status. */
export interface TaskLog {
  readonly upid: string;
  line(text: string): void;
  warn(text: string): void;
}

/** A signal that ended a task from outside. */
export class Interrupted extends Error {
  constructor() {
    super("received interrupt");
  }
}

interface Active {
  readonly task: Task;
  readonly work: Work;
  readonly locks: string[];
  cancel: () => void;
  readonly fault: TaskFault;
  /** Still to wait for, or to hang at, before the work begins to tell. */
  held?: "delay" | "hang" | undefined;
}

/** PVE keeps some 1000 to 2000 ended tasks of a node. */
const KEPT = 1500;

/** Starts tasks, moves them on and ends them. A task begins at once, within the call that starts it. */
export class TaskRunner {
  private readonly active = new Map<string, Active>();
  private readonly known = new Map<string, Task>();
  private readonly hung = new Set<() => void>();
  /** Asked before a task begins. */
  faultOf: (plan: TaskPlan) => TaskFault | undefined = () => undefined;

  constructor(private readonly world: TaskHost) {
    for (const task of world.state.tasks) this.known.set(task.upid, task);
  }

  get(upid: string): Task | undefined {
    return this.known.get(upid);
  }

  isActive(upid: string): boolean {
    return this.active.has(upid);
  }

  /** @returns the UPID, as PVE's `fork_worker` does. */
  start(plan: TaskPlan): string {
    const { state } = this.world;
    state.nextPid += 1 + this.world.random.below(40);
    const starttime = this.world.seconds();
    const parts = { ...plan, pid: state.nextPid, pstart: this.pstart(plan.node), starttime };
    const upid = printUpid(parts);
    const { node, type, id, user, pid, pstart } = parts;
    const task: Task = { upid, node, pid, pstart, starttime, type, id, user, log: [] };
    state.tasks.push(task);
    this.known.set(upid, task);
    let warnings = 0;
    const log: TaskLog = {
      upid,
      line: (text) => void task.log.push(text),
      warn: (text) => {
        warnings++;
        task.log.push(`WARN: ${text}`);
      },
    };
    const fault = this.faultOf(plan) ?? {};
    if (fault.how === "warn") log.warn(fault.text ?? "something is not as it should be");
    const active: Active = {
      task,
      work: plan.work(log),
      locks: [],
      cancel: () => undefined,
      fault,
      held: heldBy(fault),
    };
    this.active.set(upid, active);
    this.world.changed();
    if (fault.how === "fail" && fault.done !== true) this.fail(active);
    else this.step(active, () => (warnings > 0 ? `WARNINGS: ${warnings}` : "OK"));
    return upid;
  }

  /** SIGTERM: the work may clean up; a task that has ended is left alone. */
  stop(upid: string): void {
    const active = this.active.get(upid);
    if (active === undefined) return;
    active.cancel();
    try {
      active.work.throw(new Interrupted());
      this.end(active, "unexpected status", undefined);
    } catch (error) {
      this.end(active, faultText(error), `TASK ERROR: ${faultText(error)}`);
    }
  }

  /** After a restart nobody works on what was running: PVE finds such tasks without an end line. */
  abandon(): void {
    for (const task of this.world.state.tasks)
      if (task.status === undefined && !this.active.has(task.upid)) {
        task.status = "unexpected status";
        task.endtime = this.world.seconds();
      }
  }

  /** What hangs goes on. */
  resumeHung(): void {
    for (const resume of [...this.hung]) resume();
  }

  /** Stops all timers; nothing is written to the logs. */
  halt(): void {
    for (const active of this.active.values()) active.cancel();
  }

  private pstart(node: string): number {
    const booted = this.world.state.nodes[node]?.bootedAt ?? 0;
    return Math.max(1, Math.floor((this.world.clock.now() / 1000 - booted) * 100)) % 0xffffffff;
  }

  private step(active: Active, verdict: () => string): void {
    for (;;) {
      let next: IteratorResult<Pause, void>;
      this.world.takeOwed();
      try {
        next = active.work.next();
      } catch (error) {
        const text = faultText(error).replace(/\n+$/, "").replace(/\n/g, " ");
        this.end(active, text, `TASK ERROR: ${text}`);
        return;
      }
      const owed = this.world.takeOwed();
      if (this.hold(active, { next, owed }, verdict)) return;
      if (next.done === true) return this.finish(active, verdict);
      if (this.pause(active, typeof next.value === "number" ? next.value + owed : next.value, verdict)) return;
    }
  }

  private fail(active: Active): void {
    const text = active.fault.text ?? "command failed: exit code 1";
    this.end(active, text, `TASK ERROR: ${text}`);
  }

  /** Where the work first takes time (its locks are held by then), or else at its end. @returns whether it stops here */
  private hold(
    active: Active,
    { next, owed }: { next: IteratorResult<Pause, void>; owed: number },
    verdict: () => string,
  ): boolean {
    const { held, fault } = active;
    if (held === undefined || (next.done !== true && typeof next.value !== "number")) return false;
    active.held = undefined;
    const goOn = (): void => {
      this.hung.delete(goOn);
      if (next.done === true) this.finish(active, verdict);
      else if (typeof next.value === "number" && !this.pause(active, next.value + owed, verdict))
        this.step(active, verdict);
    };
    if (held === "hang") {
      this.hung.add(goOn);
      active.cancel = () => void this.hung.delete(goOn);
    } else active.cancel = this.world.clock.after(fault.delay ?? 0, goOn);
    return true;
  }

  private finish(active: Active, verdict: () => string): void {
    if (active.fault.how === "fail") return this.fail(active);
    const status = verdict();
    this.end(active, status, `TASK ${status}`);
  }

  /** @returns false when there is nothing to wait for. */
  private pause(active: Active, pause: Pause, verdict: () => string): boolean {
    this.world.changed();
    if (typeof pause === "number") {
      if (pause <= 0) return false;
      active.cancel = this.world.after(pause, () => this.step(active, verdict));
      return true;
    }
    const { locks } = this.world;
    if (locks.take(pause.lock)) {
      active.locks.push(pause.lock);
      return false;
    }
    active.task.log.push("trying to acquire lock...");
    const give = (): void => {
      if (!locks.take(pause.lock)) {
        active.cancel = combine(locks.onRelease(pause.lock, give), timeout);
        return;
      }
      timeout();
      active.locks.push(pause.lock);
      active.task.log.push(" OK");
      this.step(active, verdict);
    };
    const timeout = this.world.after(pause.wait, () => {
      active.cancel();
      this.end(active, pause.text, `TASK ERROR: ${pause.text}`);
    });
    active.cancel = combine(locks.onRelease(pause.lock, give), timeout);
    return true;
  }

  private end(active: Active, status: string, lastLine: string | undefined): void {
    active.cancel();
    const { task } = active;
    task.status = status;
    task.endtime = this.world.seconds();
    if (lastLine !== undefined) task.log.push(lastLine);
    this.active.delete(task.upid);
    for (const lock of active.locks) this.world.locks.release(lock);
    if (active.fault.how === "vanish") this.forget(task);
    this.forgetOld(task.node);
    this.world.changed();
  }

  private forgetOld(node: string): void {
    const { tasks } = this.world.state;
    if (tasks.length < KEPT * 2) return;
    const ended = tasks.filter((task) => task.node === node && task.status !== undefined);
    for (const task of ended.slice(0, Math.max(0, ended.length - KEPT))) this.forget(task);
  }

  private forget(task: Task): void {
    const { tasks } = this.world.state;
    tasks.splice(tasks.indexOf(task), 1);
    this.known.delete(task.upid);
  }
}

function heldBy(fault: TaskFault): Active["held"] {
  if (fault.how === "hang") return "hang";
  return (fault.delay ?? 0) > 0 ? "delay" : undefined;
}

const combine =
  (...actions: (() => void)[]): (() => void) =>
  () => {
    for (const action of actions) action();
  };
