import { setMaxListeners } from "node:events";
import type { ApplyEvent, Outcome } from "../../src/apply/events.js";
import type { ApplyOptions, ApplyPorts } from "../../src/apply/ports.js";
import { recoverTasks } from "../../src/apply/recover.js";
import { replanner } from "../../src/apply/replan.js";
import { runPlan } from "../../src/apply/run.js";
import type { DesiredState } from "../../src/desired/types.js";
import { ProxmoorError } from "../../src/model/errors.js";
import { refKey } from "../../src/model/ref.js";
import { observeCluster } from "../../src/observed/observe.js";
import type { ObservedState } from "../../src/observed/types.js";
import { planChanges, planDelete, summarise } from "../../src/plan/plan.js";
import type { Plan, PlanPolicy } from "../../src/plan/types.js";
import { createPve, type Pve, type PveSettings } from "../../src/pve/index.js";
import { createSimulator, type LoggedRequest, type Simulator } from "../../src/simulator/index.js";
import { FakeClock } from "./fake-clock.js";
import { FakeProcess, Killed, outcomeLine } from "./fake-lab.js";
import { FakeStores } from "./fake-stores.js";
import { SimulatorDispatcher } from "./simulator-dispatcher.js";

export interface WireRun {
  /** `vm/web-01 done create`, one line an object; or the error that ended the run before it began. */
  readonly text: string;
  /** What `proxmoor` advises: the remedies of what failed. */
  readonly remedies: readonly string[];
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly events: readonly ApplyEvent[];
  /** Milliseconds of the clock. */
  readonly ms: number;
  /** What came over the wire. */
  readonly requests: readonly LoggedRequest[];
}

export interface WireSettings {
  readonly policy?: Partial<PlanPolicy>;
  readonly auth?: PveSettings["auth"];
  /** Dies before or after its n-th call to the outside. */
  readonly dies?: { readonly at: number; readonly when: "before" | "after" };
  /** Ctrl-C after so many milliseconds, and a kill ten seconds later. */
  readonly patience?: number;
  /** Runs between the plan and its run. */
  readonly between?: () => unknown;
}

type MakePlan = (observed: ObservedState, policy: PlanPolicy) => Promise<Plan>;

/** The program from plan to wire – engine and PVE client – against a simulated cluster, on one clock that costs no time. */
export class WireLab {
  readonly clock = new FakeClock();
  readonly stores = new FakeStores();
  #runs = 0;
  #identities = 0;
  #simulator: Simulator | undefined;

  static async open(options: { seed?: number; taskMs?: number; random?: () => number } = {}): Promise<WireLab> {
    const lab = new WireLab();
    lab.#simulator = await createSimulator({
      profile: "demo",
      seed: options.seed ?? 1,
      clock: lab.clock,
      listen: false,
      taskDuration: () => options.taskMs ?? 1000,
    });
    return lab;
  }

  get simulator(): Simulator {
    if (this.#simulator === undefined) throw new Error("the lab is not open");
    return this.#simulator;
  }

  /** Somebody else's call, as root; the clock goes on until it is answered and its task has ended. */
  pve(method: string, path: string, params: Record<string, string | number | boolean> = {}): Promise<unknown> {
    return this.clock.drive(this.simulator.as("root@pam").call(method, path, params));
  }

  /** `proxmoor apply`: recover, look, plan, run. Errors before the run are its text. */
  apply(desired: DesiredState, settings: WireSettings = {}): Promise<WireRun> {
    return this.#run(settings, async (observed, policy) => {
      const inventory = await this.stores.resources.inventory(this.clock.now());
      return planChanges({ desired, observed, inventory, policy });
    });
  }

  /** `proxmoor delete`. */
  remove(keys: readonly string[], settings: WireSettings = {}): Promise<WireRun> {
    return this.#run(settings, async (observed) => {
      const { resources } = await this.stores.resources.inventory(this.clock.now());
      const ours = resources.filter((one) => keys.includes(refKey(one.ref)));
      const changes = ours.map((one) => planDelete({ ...one, prune: "delete" }, observed));
      return { changes, summary: summarise(changes), warnings: [] };
    });
  }

  /** A client of the lab's cluster, as the program makes it. */
  connect(auth?: PveSettings["auth"]): { pve: Pve; wire: SimulatorDispatcher } {
    const wire = new SimulatorDispatcher(this.simulator, this.clock);
    const { token } = this.simulator.credentials;
    const settings = { endpoint: this.simulator.url, auth: auth ?? ({ kind: "token", token } as const) };
    const sleep = (ms: number, signal?: AbortSignal) => this.clock.sleep(ms, signal);
    const deps = { now: () => this.clock.now(), sleep, random: () => 0.5, dispatcher: wire };
    return { pve: createPve(settings, deps), wire };
  }

  async #run(settings: WireSettings, makePlan: MakePlan): Promise<WireRun> {
    const started = this.clock.now();
    const seen = this.simulator.requests.length;
    const { pve, wire } = this.connect(settings.auth);
    const process = new FakeProcess({ track: (work) => work() }, settings.dies);
    const ended = new AbortController();
    setMaxListeners(0, ended.signal);
    const timers = settings.patience === undefined ? [] : this.#impatience(settings.patience, { process, ended, wire });
    const events: ApplyEvent[] = [];
    const work = this.#work({ settings, makePlan, pve, process, events, signal: ended.signal });
    const died = process.died.then(() => new Killed("dead"));
    const outcome = await this.clock.drive(Promise.race([work.catch((error: unknown) => error), died]));
    for (const stop of timers) stop();
    void wire.destroy();
    return {
      ...reportOf(outcome),
      events,
      ms: this.clock.now() - started,
      requests: this.simulator.requests.slice(seen),
    };
  }

  #impatience(
    ms: number,
    { process, ended, wire }: { process: FakeProcess; ended: AbortController; wire: SimulatorDispatcher },
  ): (() => void)[] {
    const interrupt = () => ended.abort(new ProxmoorError("APPLY_INTERRUPTED", "interrupted"));
    const kill = () => {
      process.kill();
      void wire.destroy();
    };
    return [this.clock.after(ms, interrupt), this.clock.after(ms + 10_000, kill)];
  }

  async #work(run: {
    settings: WireSettings;
    makePlan: MakePlan;
    pve: Pve;
    process: FakeProcess;
    events: ApplyEvent[];
    signal: AbortSignal;
  }): Promise<ReadonlyMap<string, Outcome>> {
    const { settings, pve, process, signal } = run;
    const options = this.#options(signal);
    const policy = this.#policy(pve, settings.policy);
    const ports = this.#ports(pve, process, run.events);
    await recoverTasks(ports, options);
    const inventory = await this.stores.resources.inventory(this.clock.now());
    const known = new Map(inventory.resources.map((one) => [one.vmid, one.node]));
    const observed = await observeCluster(process.guard(pve.reader), { now: this.clock.now(), known, signal });
    const plan = await run.makePlan(observed, policy);
    await settings.between?.();
    const { sender, resources, clock } = ports;
    const replan = replanner({ observed, policy, sender, resources, clock, signal });
    const { outcomes } = await runPlan(plan, { ...ports, replan }, options);
    return outcomes;
  }

  #policy(pve: Pve, changes: Partial<PlanPolicy> = {}): PlanPolicy {
    return {
      adopt: false,
      allowReplace: new Set(),
      vmidRange: { first: 200, last: 299 },
      maxDeletes: 10,
      newIdentity: () => `aaaaaaaa-0000-4000-8000-${String(++this.#identities).padStart(12, "0")}`,
      sameRaw: pve.sameRaw,
      ...changes,
    };
  }

  #options(signal: AbortSignal): ApplyOptions {
    const run = `run-${++this.#runs}`;
    return {
      run,
      holder: run,
      sourceOf: (place) => place.file,
      concurrency: 8,
      perNode: 4,
      lockPatience: 120_000,
      quarantine: 3_600_000,
      signal,
    };
  }

  #ports(pve: Pve, process: FakeProcess, events: ApplyEvent[]): ApplyPorts {
    return {
      sender: process.guard(pve.sender),
      pveTasks: process.guard(pve.tasks),
      taskLog: process.guard(this.stores.tasks),
      resources: process.guard(this.stores.resources),
      leases: process.guard(this.stores.leases),
      events: process.guard(this.stores.events),
      clock: process.guard(this.clock),
      isGone: () => false,
      replan: () => Promise.resolve(undefined),
      onEvent: (event) => events.push(event),
    };
  }
}

function reportOf(outcome: unknown): Pick<WireRun, "text" | "remedies" | "outcomes"> {
  if (outcome instanceof Killed) return { text: "killed", remedies: [], outcomes: new Map() };
  if (outcome instanceof ProxmoorError) {
    const text = `[${outcome.code}] ${outcome.message}`;
    return { text, remedies: [outcome.remedy ?? ""], outcomes: new Map() };
  }
  if (!(outcome instanceof Map)) throw outcome;
  const outcomes = outcome as ReadonlyMap<string, Outcome>;
  const remedies = [...outcomes.values()].flatMap((one) => (one.result === "failed" ? [one.remedy ?? ""] : []));
  return { text: [...outcomes].map(([key, one]) => outcomeLine(key, one)).join("\n"), remedies, outcomes };
}
