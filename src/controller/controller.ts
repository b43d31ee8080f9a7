import { setMaxListeners } from "node:events";
import { observeTasks } from "../apply/observe-tasks.js";
import { acquire, describeHolder } from "../apply/lease.js";
import type { DesiredGuest } from "../desired/types.js";
import { ProxmoorError, messageOf } from "../model/errors.js";
import { formatFaults, formatPlace, type Fault } from "../model/fault.js";
import { parseRef, refKey } from "../model/ref.js";
import { observeCluster } from "../observed/observe.js";
import type { GuestSummary, ObservedState } from "../observed/types.js";
import { planChanges } from "../plan/plan.js";
import type { Resource } from "../plan/types.js";
import { WorkQueue } from "./queue.js";
import { reconcile, type Reconciled } from "./reconcile.js";
import type { ControllerOptions, ControllerPorts, ControllerStatus } from "./ports.js";

const LEASE = "controller";
const LEASE_MS = 30_000;
/** Tasks that began so long before the last look are listed again: nodes' clocks differ. */
const TASKS_OVERLAP_MS = 300_000;
/** How long a worker with nothing to do waits for something, at most. */
const IDLE_MS = 500;
/** New desires go before what only the poll found. */
const PRIORITY = { desire: 0, drift: 1 };

/** The loop that keeps the cluster as its manifests say. `run` ends when the signal aborts. */
export class Controller {
  readonly #queue: WorkQueue;
  readonly #stop = new AbortController();
  #desired: ReadonlyMap<string, DesiredGuest> = new Map();
  #complete = false;
  #mayPrune = false;
  #observed: ObservedState | undefined;
  #faults: readonly Fault[] = [];
  #resources: readonly Resource[] = [];
  #polls = 0;
  #status: Omit<ControllerStatus, "faults" | "queueDepth"> = { started: false };
  #dirty = false;
  #lost: Error | undefined;

  constructor(
    private readonly ports: ControllerPorts,
    private readonly options: ControllerOptions,
  ) {
    // every request under way listens to it
    setMaxListeners(0, this.#stop.signal);
    this.#queue = new WorkQueue(ports.clock);
    ports.metrics.gauges(() => ({
      queueDepth: this.#queue.depth,
      working: this.#queue.working,
      resources: this.#resources.length,
      conditions: countConditions(this.#resources),
      faults: this.#faults.length,
    }));
  }

  get status(): ControllerStatus {
    return { ...this.#status, faults: this.#faults, queueDepth: this.#queue.depth };
  }

  /**
   * Throws APPLY_BUSY where another controller works on this database, and what the first read of the manifests
   * throws; later errors are told and survived.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { ports, options } = this;
    await this.#lead();
    ports.log.info({ interval: options.interval, workers: options.workers }, "controller started");
    const leading = new AbortController();
    const lease = this.#keepLease(leading.signal);
    let unwatch: (() => Promise<void>) | undefined;
    try {
      unwatch = await ports.source.watch(() => (this.#dirty = true));
      await this.#readSource(true);
      await this.#queueLeftovers();
      const until = AbortSignal.any([signal, this.#stop.signal]);
      setMaxListeners(0, until);
      await this.#loop(until);
      if (this.#lost) throw this.#lost;
    } finally {
      leading.abort();
      await lease;
      await unwatch?.();
      this.#queue.close();
      await ports.leases.release(LEASE, options.apply.holder);
      ports.log.info({}, "controller ended");
    }
  }

  async #loop(until: AbortSignal): Promise<void> {
    until.addEventListener("abort", () => this.#queue.wake(), { once: true });
    const workers = Array.from({ length: this.options.workers }, () => this.#work(until));
    await Promise.all([this.#poll(until), this.#watchSource(until)]);
    await this.#drain(workers);
  }

  async #lead(): Promise<void> {
    const { leases, clock, isGone } = this.ports;
    const holder = this.options.apply.holder;
    if (await acquire({ name: LEASE, holder, ttlMs: LEASE_MS, now: clock.now() }, { leases, clock, holder, isGone }))
      return;
    const other = await leases.holder(LEASE);
    throw new ProxmoorError(
      "APPLY_BUSY",
      `another controller works on this database: ${describeHolder(other?.holder)}`,
      {
        subject: LEASE,
        remedy: `Stop it first; if it died, its lease ends by itself within ${LEASE_MS / 1000} s.`,
      },
    );
  }

  async #keepLease(signal: AbortSignal): Promise<void> {
    const { leases, clock, log } = this.ports;
    while (!signal.aborted) {
      await pause(this.ports, LEASE_MS / 3, signal);
      const held = await leases
        .renew({ name: LEASE, holder: this.options.apply.holder, ttlMs: LEASE_MS, now: clock.now() })
        .catch((error: unknown) => {
          log.error({ error: messageOf(error) }, "lease could not be renewed");
          return true;
        });
      if (held) continue;
      // somebody else leads now: nothing more may be sent
      this.#lost = await this.#lead().then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error : new Error(messageOf(error))),
      );
      if (!this.#lost) continue;
      this.#stop.abort(this.#lost);
      return;
    }
  }

  /** What an earlier run left unfinished is looked at first, object by object. */
  async #queueLeftovers(): Promise<void> {
    for (const row of await this.ports.taskLog.unfinished())
      if (row.ref !== undefined) this.#queue.add(row.ref, { priority: PRIORITY.desire, fresh: true });
  }

  /** Reads the manifests again; a broken file keeps its last good content. */
  async #readSource(isFirst: boolean): Promise<void> {
    const { source, log } = this.ports;
    const read = await source.read();
    for (const fault of read.faults)
      log.error({ place: formatPlace(fault.place), fault: fault.message }, "manifest fault");
    if (this.#faults.length > 0 && read.faults.length === 0) log.info({}, "manifests are sound again");
    // a folder that was mistyped is told at once; later everything can break and mend
    if (isFirst && read.desired.guests.length === 0 && read.faults[0])
      throw new ProxmoorError(read.faults[0].code, `no manifest could be read:\n${formatFaults(read.faults)}`);
    this.#faults = read.faults;
    const next = new Map(read.desired.guests.map((guest) => [refKey(guest.ref), guest]));
    const broken = new Set(read.faults.map((fault) => fault.place.file));
    for (const [key, guest] of this.#desired)
      if (!next.has(key) && (broken.has(guest.place.file) || !read.complete)) next.set(key, guest);
    const changed = [...next].filter(
      ([key, guest]) => JSON.stringify(this.#desired.get(key)) !== JSON.stringify(guest),
    );
    const gone = [...this.#desired.keys()].filter((key) => !next.has(key));
    this.#desired = next;
    this.#complete = read.complete && read.faults.length === 0;
    for (const [key] of changed) this.#queue.add(key, { priority: PRIORITY.desire, fresh: true });
    // what is gone is found by the next look, which counts how much that is
    if (changed.length + gone.length > 0 || isFirst)
      log.info(
        { guests: next.size, changed: changed.length, gone: gone.length, faults: read.faults.length },
        "manifests read",
      );
  }

  async #watchSource(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // a little later than the event, so that half-written files and renames settle
      await pause(this.ports, 200, signal);
      if (!this.#dirty) continue;
      this.#dirty = false;
      await this.#readSource(false).catch((error: unknown) =>
        this.ports.log.error({ error: messageOf(error) }, "manifests could not be read"),
      );
    }
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { ports, options } = this;
    while (!signal.aborted) {
      const began = ports.clock.now();
      try {
        await this.#look(signal);
        if (this.#status.pollError !== undefined) ports.log.info({}, "PVE answers again");
        this.#status = { started: true, lastPoll: began };
        ports.metrics.polled("ok", (ports.clock.now() - began) / 1000);
      } catch (error) {
        if (signal.aborted) return;
        const text = messageOf(error);
        if (this.#status.pollError !== text) ports.log.error({ error: text }, "the cluster could not be looked at");
        this.#status = { ...this.#status, pollError: text };
        ports.metrics.polled("failed", (ports.clock.now() - began) / 1000);
      }
      await pause(ports, Math.max(100, options.interval - (ports.clock.now() - began)), signal);
    }
  }

  /** One look; whatever differs is queued. */
  async #look(signal: AbortSignal): Promise<void> {
    const { ports, options } = this;
    const now = ports.clock.now();
    const inventory = await ports.resources.inventory(now);
    this.#resources = inventory.resources;
    const known = new Map(inventory.resources.map((one) => [one.vmid, one.node]));
    const isFull = this.#polls++ % options.resyncEvery === 0;
    // no watcher tells of everything (a mount, a symlink that is swapped, a network file system)
    if (isFull) this.#dirty = true;
    const declared = new Set([...this.#desired.values()].map((guest) => guest.vmid));
    const reads = (guest: GuestSummary) =>
      isFull || known.has(guest.vmid) || guest.template || declared.has(guest.vmid) || this.#isDeclared(guest);
    const observed = await observeCluster(ports.reader, { now, known, reads, signal });
    await ports.state.sync(observed);
    await observeTasks(ports, observed.nodes, (this.#status.lastPoll ?? now) - TASKS_OVERLAP_MS, signal);
    this.#observed = observed;
    const prunes = this.#complete ? options.policy.prunes : undefined;
    const plan = planChanges({
      desired: { guests: [...this.#desired.values()] },
      observed,
      inventory,
      policy: { ...options.policy, prunes },
    });
    this.#mayPrune = this.#complete && this.#isWithinLimit(plan.summary.delete);
    const unsaid = new Set(inventory.resources.filter(isUnsaid).map((one) => refKey(one.ref)));
    for (const change of plan.changes) {
      const key = refKey(change.ref);
      if (change.action === "delete" && !this.#mayPrune) continue;
      if (change.action !== "keep" || unsaid.has(key)) this.#queue.add(key, { priority: PRIORITY.drift });
    }
  }

  /** Rather nothing pruned than too much: more deletions than allowed wait until the limit or the manifests change. */
  #isWithinLimit(deletes: number): boolean {
    const { maxDeletes } = this.options.policy;
    if (deletes <= maxDeletes) return true;
    this.ports.log.error({ deletes, maxDeletes }, "nothing is pruned: more guests would go than --max-deletes allows");
    return false;
  }

  #isDeclared(guest: GuestSummary): boolean {
    return guest.name !== undefined && this.#desired.has(refKey({ kind: guest.kind, name: guest.name }));
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#observed === undefined) {
        await pause(this.ports, IDLE_MS, signal);
        continue;
      }
      const key = this.#queue.take();
      if (key !== undefined) await this.#reconcileKey(key);
      else await this.#queue.change((ms, ended) => this.ports.clock.sleep(ms, ended), IDLE_MS);
    }
  }

  async #reconcileKey(key: string): Promise<void> {
    const { ports, options } = this;
    const began = ports.clock.now();
    const ref = parseRef(key);
    const observed = this.#observed;
    if (!ref || !observed) return this.#queue.done(key);
    let done: Reconciled;
    try {
      done = await reconcile(ref, {
        ports,
        options,
        desired: this.#desired,
        observed,
        mayPrune: this.#mayPrune,
        signal: this.#stop.signal,
      });
    } catch (error) {
      done = { result: "failed", reason: messageOf(error) };
    }
    ports.metrics.reconciled(done.result, (ports.clock.now() - began) / 1000);
    if (!("reason" in done)) {
      this.#queue.done(key);
      if (done.result === "changed") this.#queueDependents(key);
      return;
    }
    const delay = this.#queue.failed(key);
    ports.log.warn({ ref: key, result: done.result, reason: done.reason, retryInMs: delay }, "not reconciled");
  }

  /** Whoever waited for it need not wait for its backoff. */
  #queueDependents(key: string): void {
    for (const [other, guest] of this.#desired)
      if (guest.dependsOn.some((ref) => refKey(ref) === key))
        this.#queue.add(other, { priority: PRIORITY.desire, fresh: true });
  }

  /** Waits for what is under way, at most the grace period; then PVE's tasks are left to the next start. */
  async #drain(workers: readonly Promise<void>[]): Promise<void> {
    const { ports, options } = this;
    ports.log.info({ working: this.#queue.working, graceMs: options.grace }, "stopping");
    const over = new AbortController();
    const grace = pause(ports, options.grace, over.signal).then(() => {
      if (!over.signal.aborted) this.#stop.abort(new Error("the grace period is over"));
    });
    await Promise.all(workers);
    over.abort();
    await grace;
  }
}

/** A resource whose conditions do not say that all is well: reconciling it sets them anew. */
function isUnsaid({ conditions }: Resource): boolean {
  const isTrue = (type: string) => conditions.some((one) => one.type === type && one.status === "True");
  return !isTrue("Synced") || isTrue("RestartRequired") || isTrue("Drifted") || isTrue("Blocked");
}

function countConditions(resources: readonly Resource[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const resource of resources)
    for (const condition of resource.conditions)
      if (condition.status === "True") counts[condition.type] = (counts[condition.type] ?? 0) + 1;
  return counts;
}

/** Sleeps, or ends early without a fuss. */
async function pause(ports: ControllerPorts, ms: number, signal: AbortSignal): Promise<void> {
  await ports.clock.sleep(ms, signal).catch(() => undefined);
}
