import { Random } from "../random.js";
import type { TaskFault, TaskPlan } from "../tasks/runner.js";
import type { World } from "../world.js";
import { Conditions, isCondition } from "./conditions.js";
import { Person, type CallAsRoot } from "./person.js";
import { readFaults } from "./read.js";
import { patternOf, titleOf, triggerOf, type Deed, type FaultEffect, type FaultRule } from "./rules.js";
import type { SkewedClock } from "./skewed-clock.js";

type Of<K extends string> = Extract<FaultEffect, Record<K, unknown>>;

/** All that befalls one request. */
export interface RequestFault {
  /** What struck, for the request log. */
  readonly titles: string[];
  /** Milliseconds before the request is looked at. */
  delay: number;
  answer?: Of<"answer">["answer"];
  close?: Of<"close">["close"];
  idle?: number;
  lock?: boolean;
  fields?: Of<"fields">["fields"];
}

/** A rule at work. */
export interface ActiveFault {
  readonly rule: FaultRule;
  /** How often it struck. */
  readonly hits: number;
  /** Strikes no more; what it brought about goes on for its time. */
  remove(): void;
}

/** Makes the simulated cluster misbehave. */
export interface FaultControl {
  /** One rule or several, as in the YAML file. @throws FaultRuleError that names every wrong field */
  add(rules: FaultRule | readonly FaultRule[]): ActiveFault;
  /** Takes all rules away and puts the cluster right: nodes are back, privileges too, tasks that hang go on. */
  clear(): void;
  readonly active: readonly ActiveFault[];
}

interface Kept {
  readonly rule: FaultRule;
  readonly path: RegExp | undefined;
  readonly task: RegExp | undefined;
  readonly methods: ReadonlySet<string> | undefined;
  seen: number;
  hits: number;
  cancel: () => void;
}

export interface FaultHost {
  readonly world: World;
  readonly clock: SkewedClock;
  readonly seed: number;
  readonly callAsRoot: CallAsRoot;
}

/** The rules, how often they struck, and chance: one seed, one course of things. */
export class Faults implements FaultControl {
  readonly conditions: Conditions;
  private readonly kept = new Set<Kept>();
  private readonly random: Random;
  private readonly person: Person;

  constructor(private readonly host: FaultHost) {
    this.random = new Random(host.seed ^ 0x5eed);
    this.conditions = new Conditions(host.world, host.clock);
    this.person = new Person(host.world, this.random, host.callAsRoot);
    host.world.tasks.faultOf = (plan) => this.task(plan);
  }

  get active(): readonly ActiveFault[] {
    return [...this.kept].map((one) => this.handle([one]));
  }

  add(rules: FaultRule | readonly FaultRule[]): ActiveFault {
    const added = readFaults(Array.isArray(rules) ? rules : [rules]).map((rule) => this.keep(rule));
    return this.handle(added);
  }

  clear(): void {
    for (const one of this.kept) one.cancel();
    this.kept.clear();
    this.conditions.heal();
    this.host.world.tasks.resumeHung();
  }

  /** What befalls a request; conditions it brings about are there, and a person's deeds done, when this ends. */
  request(method: string, path: string): RequestFault | undefined | Promise<RequestFault | undefined> {
    const storage = this.storageDelay(path);
    if (this.kept.size === 0 && storage === 0) return undefined;
    const fault: RequestFault = { titles: [], delay: storage };
    const deeds: Promise<void>[] = [];
    for (const one of this.kept) {
      if (triggerOf(one.rule.match) !== "request") continue;
      if (one.methods?.has(method) === false || one.path?.test(path) === false) continue;
      if (!this.strikes(one)) continue;
      fault.titles.push(titleOf(one.rule));
      const deed = this.apply(one.rule.effect, fault, path);
      if (deed !== undefined) deeds.push(deed);
    }
    if (deeds.length > 0) return Promise.all(deeds).then(() => fault);
    return fault.titles.length > 0 || fault.delay > 0 ? fault : undefined;
  }

  private task(plan: TaskPlan): TaskFault | undefined {
    let fault: TaskFault | undefined;
    for (const one of this.kept) {
      const { effect } = one.rule;
      // nobody is set off by his own deeds
      if ("person" in effect && this.person.isActing) continue;
      if (one.task?.test(plan.type) !== true || !this.strikes(one)) continue;
      if ("latency" in effect) fault = { ...fault, delay: (fault?.delay ?? 0) + this.delay(effect) };
      else if ("lock" in effect) fault = { ...fault, how: "fail", text: this.lockText(plan.type, plan.id) };
      else if ("task" in effect) fault = { ...fault, ...effect.task };
      else void this.befall(effect, Number(plan.id));
    }
    return fault;
  }

  private apply(effect: FaultEffect, fault: RequestFault, path: string): Promise<void> | undefined {
    if ("latency" in effect) fault.delay += this.delay(effect);
    else if ("answer" in effect) fault.answer ??= effect.answer;
    else if ("close" in effect) fault.close ??= effect.close;
    else if ("idle" in effect) fault.idle = effect.idle;
    else if ("lock" in effect) fault.lock = true;
    else if ("fields" in effect) fault.fields = effect.fields;
    else return this.befall(effect, vmidOf(path));
    return undefined;
  }

  /** Conditions and persons. */
  private befall(effect: FaultEffect, vmid: number | undefined): Promise<void> | undefined {
    if (isCondition(effect)) this.conditions.begin(effect);
    else if ("person" in effect) {
      const { does } = effect.person;
      const deeds: readonly Deed[] = typeof does === "string" ? [does] : does;
      return this.person.act(deeds, effect.person.vmid ?? vmid);
    }
    return undefined;
  }

  private strikes(one: Kept): boolean {
    const { after = 0, count = Infinity, probability = 1 } = one.rule;
    one.seen++;
    if (one.seen <= after || one.hits >= count) return false;
    if (probability < 1 && this.random.below(1_000_000) >= probability * 1_000_000) return false;
    one.hits++;
    return true;
  }

  private delay({ latency: { ms, jitter = 0 } }: Of<"latency">): number {
    return ms + (jitter > 0 ? this.random.below(jitter + 1) : 0);
  }

  /** PVE asks every storage for its figures, also one that is slow. */
  private storageDelay(path: string): number {
    const { storageFaults } = this.host.world;
    if (storageFaults.size === 0) return 0;
    const found = /^\/nodes\/[^/]+\/storage(?:\/([^/]+))?/.exec(path);
    if (found === null) return 0;
    const asked = [...storageFaults].filter(([id]) => found[1] === undefined || found[1] === id);
    return Math.max(0, ...asked.map(([, { slow }]) => slow));
  }

  private lockText(type: string, id: string): string {
    return this.host.world.lockText(type.startsWith("vz") ? "lxc" : "qemu", Number(id));
  }

  private keep(rule: FaultRule): Kept {
    const { method, path, task } = rule.match;
    const kept: Kept = {
      rule,
      path: path === undefined ? undefined : patternOf(path),
      task: task === undefined ? undefined : patternOf(task),
      methods: method === undefined ? undefined : new Set([method].flat()),
      seen: 0,
      hits: 0,
      cancel: () => undefined,
    };
    this.kept.add(kept);
    if (rule.match.at !== undefined) this.schedule(kept, rule.match.at, false);
    if (rule.match.every !== undefined) this.schedule(kept, rule.match.every, true);
    return kept;
  }

  private schedule(one: Kept, ms: number, again: boolean): void {
    const strike = (): void => {
      if (this.strikes(one)) void this.befall(one.rule.effect, undefined);
      if (again) this.schedule(one, ms, again);
    };
    if (ms === 0) strike();
    else one.cancel = this.host.clock.after(ms, strike);
  }

  private handle(added: readonly Kept[]): ActiveFault {
    const [first] = added;
    if (first === undefined) throw new RangeError("no rule was given");
    return {
      rule: first.rule,
      get hits() {
        return added.reduce((sum, one) => sum + one.hits, 0);
      },
      remove: () => {
        for (const one of added) {
          one.cancel();
          this.kept.delete(one);
        }
      },
    };
  }
}

/** The guest that a path is about. */
function vmidOf(path: string): number | undefined {
  const found = /^\/nodes\/[^/]+\/(?:qemu|lxc)\/(\d+)/.exec(path)?.[1];
  return found === undefined ? undefined : Number(found);
}
