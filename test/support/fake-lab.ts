import { recoverTasks } from "../../src/apply/recover.js";
import { replanner } from "../../src/apply/replan.js";
import { runPlan } from "../../src/apply/run.js";
import type { ApplyEvent, Outcome } from "../../src/apply/events.js";
import type { ApplyOptions, ApplyPorts } from "../../src/apply/ports.js";
import { validateManifests } from "../../src/desired/index.js";
import type { DesiredState } from "../../src/desired/types.js";
import { parseManifestText } from "../../src/manifests/parse.js";
import { formatFaults } from "../../src/model/fault.js";
import { refKey } from "../../src/model/ref.js";
import { observeCluster } from "../../src/observed/observe.js";
import type { ObservedState } from "../../src/observed/types.js";
import { planChanges, planDelete, summarise } from "../../src/plan/plan.js";
import type { Plan, PlanPolicy, Resource } from "../../src/plan/types.js";
import { sameRaw } from "../../src/pve/codec/same-raw.js";
import { FakeClock } from "./fake-clock.js";
import { FakePve } from "./fake-pve.js";
import { FakeStores } from "./fake-stores.js";

/** The stores a run works on; the in-memory ones, or a database. */
export type Stores = Pick<FakeStores, "tasks" | "resources" | "leases" | "events">;

/** What a run whose process died gives. */
export class Killed extends Error {}

/** One process: counts its calls to the outside, and dies before or after the n-th. */
export class FakeProcess {
  calls = 0;
  isDead = false;
  #end: () => void = () => undefined;
  readonly died = new Promise<void>((resolve) => (this.#end = resolve));

  constructor(
    private readonly clock: Pick<FakeClock, "track">,
    private readonly dies: { readonly at: number; readonly when: "before" | "after" } | undefined = undefined,
  ) {}

  kill(): void {
    this.isDead = true;
    this.#end();
  }

  /** The same port, each of whose calls may be the last. */
  guard<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        const call = value as (...args: unknown[]) => unknown;
        if (name === "describe" || name === "explain" || name === "decode" || name === "now" || name === "random")
          return call.bind(target);
        return (...args: unknown[]) => this.#call(() => call.apply(target, args) as Promise<unknown>, name !== "sleep");
      },
    });
  }

  async #call(work: () => Promise<unknown>, takesRealTime: boolean): Promise<unknown> {
    if (this.isDead) return NEVER;
    const isLast = takesRealTime && ++this.calls === this.dies?.at;
    if (isLast && this.dies?.when === "before") this.kill();
    else {
      const result = await (takesRealTime ? this.clock.track(work) : work());
      if (isLast) this.kill();
      if (!this.isDead) return result;
    }
    return NEVER;
  }
}

/** What a dead process waits for. */
const NEVER = new Promise<never>(() => undefined);

/** Manifests to what they declare; throws their faults. */
export function declare(text: string, file = "lab.yaml"): DesiredState {
  const read = parseManifestText(text.replace(/^\s*\n/, ""), file);
  const { guests, faults } = validateManifests(read.documents);
  const all = [...read.faults, ...faults];
  if (all.length > 0) throw new Error(formatFaults(all));
  return { guests };
}

export interface RunSettings {
  readonly policy?: Partial<PlanPolicy>;
  readonly options?: Partial<ApplyOptions>;
  readonly process?: FakeProcess;
  /** Runs between the plan and its run. */
  readonly between?: () => void | Promise<void>;
}

export interface RunReport {
  readonly events: readonly ApplyEvent[];
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly plan: Plan;
  /** `vm/web-01 done create`, one line an object. */
  readonly text: string;
}

type MakePlan = (observed: ObservedState, policy: PlanPolicy) => Promise<Plan>;

interface Prepared {
  readonly events: ApplyEvent[];
  readonly options: ApplyOptions;
  readonly policy: PlanPolicy;
  readonly ports: ApplyPorts;
  readonly observed: ObservedState;
  readonly plan: Plan;
}

/** A cluster, a database and a clock, and the programs that run on them. */
export class Lab {
  readonly clock = new FakeClock();
  readonly pve: FakePve;
  readonly fake = new FakeStores();
  readonly stores: Stores;
  #runs = 0;
  #identities = 0;

  constructor(stores?: Stores) {
    this.pve = new FakePve(this.clock);
    this.stores = stores ?? this.fake;
  }

  policy(changes: Partial<PlanPolicy> = {}): PlanPolicy {
    return {
      adopt: false,
      allowReplace: new Set(),
      vmidRange: { first: 100, last: 199 },
      maxDeletes: 10,
      newIdentity: () => `aaaaaaaa-0000-4000-8000-${String(++this.#identities).padStart(12, "0")}`,
      sameRaw,
      ...changes,
    };
  }

  options(changes: Partial<ApplyOptions> = {}): ApplyOptions {
    const run = `run-${++this.#runs}`;
    return {
      run,
      holder: run,
      sourceOf: (place) => place.file,
      concurrency: 8,
      perNode: 4,
      lockPatience: 60_000,
      quarantine: 3_600_000,
      ...changes,
    };
  }

  ports(process = new FakeProcess(this.clock), onEvent: (event: ApplyEvent) => void = () => undefined): ApplyPorts {
    return {
      sender: process.guard(this.pve.sender),
      pveTasks: process.guard(this.pve.taskReader),
      taskLog: process.guard(this.stores.tasks),
      resources: process.guard(this.stores.resources),
      leases: process.guard(this.stores.leases),
      events: process.guard(this.stores.events),
      clock: process.guard(this.clock),
      isGone: () => false,
      replan: () => Promise.resolve(undefined),
      onEvent,
    };
  }

  async observe(process = new FakeProcess(this.clock)): Promise<ObservedState> {
    const now = this.clock.now();
    const inventory = await this.clock.track(() => this.stores.resources.inventory(now));
    const known = new Map(inventory.resources.map((one) => [one.vmid, one.node]));
    return observeCluster(process.guard(this.pve.reader), { now, known });
  }

  /** `proxmoor apply`: recover, observe, plan, run. */
  apply(desired: DesiredState, settings: RunSettings = {}): Promise<RunReport> {
    return this.#run(settings, this.#planOf(desired));
  }

  /** The first half of an apply; the second is what it gives. */
  async plan(desired: DesiredState, settings: RunSettings = {}): Promise<() => Promise<RunReport>> {
    const prepared = await this.clock.drive(this.#prepare(settings, this.#planOf(desired)));
    return () => this.#carryOut(prepared);
  }

  /** `proxmoor delete`. */
  remove(keys: readonly string[], settings: RunSettings = {}): Promise<RunReport> {
    return this.#run(settings, async (observed) => {
      const { resources } = await this.clock.track(() => this.stores.resources.inventory(this.clock.now()));
      const ours = resources.filter((one) => keys.includes(refKey(one.ref)));
      const changes = ours.map((one) => planDelete({ ...one, prune: "delete" }, observed));
      return { changes, summary: summarise(changes), warnings: [] };
    });
  }

  #planOf(desired: DesiredState): MakePlan {
    return async (observed, policy) => {
      const inventory = await this.clock.track(() => this.stores.resources.inventory(this.clock.now()));
      return planChanges({ desired, observed, inventory, policy });
    };
  }

  #run(settings: RunSettings, makePlan: MakePlan): Promise<RunReport> {
    const work = async () => {
      const prepared = await this.#prepare(settings, makePlan);
      await settings.between?.();
      return this.#carryOut(prepared);
    };
    return this.clock.drive(work()).catch((error: unknown) => {
      throw settings.process?.isDead === true ? new Killed("dead") : error;
    });
  }

  async #prepare(settings: RunSettings, makePlan: MakePlan): Promise<Prepared> {
    const process = settings.process ?? new FakeProcess(this.clock);
    const events: ApplyEvent[] = [];
    const options = this.options(settings.options);
    const policy = this.policy(settings.policy);
    const ports = this.ports(process, (event) => events.push(event));
    await recoverTasks(ports, options);
    const observed = await this.observe(process);
    return { events, options, policy, ports, observed, plan: await makePlan(observed, policy) };
  }

  async #carryOut({ events, options, policy, ports, observed, plan }: Prepared): Promise<RunReport> {
    const { sender, resources, clock } = ports;
    const { signal } = options;
    const replan = replanner({ observed, policy, sender, resources, clock, ...(signal && { signal }) });
    const { outcomes } = await runPlan(plan, { ...ports, replan }, options);
    return { events, outcomes, plan, text: [...outcomes].map(([key, one]) => outcomeLine(key, one)).join("\n") };
  }

  /** The tasks table, oldest first: `create 100 OK`. */
  async tasks(): Promise<string> {
    const rows = await this.clock.track(() => this.stores.tasks.list({}));
    return rows
      .filter((row) => row.run !== undefined)
      .sort((a, b) => a.id - b.id)
      .map(
        (row) =>
          `${row.type} ${row.resourceId} ${row.status}${row.exitStatus !== undefined && row.exitStatus !== "OK" ? `: ${row.exitStatus}` : ""}`,
      )
      .join("\n");
  }

  async resource(key: string): Promise<Resource | undefined> {
    const { resources } = await this.clock.track(() => this.stores.resources.inventory(this.clock.now()));
    return resources.find((one) => refKey(one.ref) === key);
  }
}

export function outcomeLine(key: string, outcome: Outcome): string {
  switch (outcome.result) {
    case "done":
      return `${key} done ${outcome.action}${outcome.pending.length > 0 ? ` (waits: ${outcome.pending.join(", ")})` : ""}`;
    case "failed":
      return `${key} failed ${outcome.action} [${outcome.code}] ${outcome.text}`;
    case "skipped":
      return `${key} skipped ${outcome.action}: ${outcome.because}`;
    case "interrupted":
      return `${key} interrupted ${outcome.action}`;
  }
}
