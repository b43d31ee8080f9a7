import type { SimulatorClock } from "./clock.js";
import type { HaRequest } from "./cluster/ha-request.js";
import { fail } from "./fault.js";
import { Random } from "./random.js";
import { Held, Locks } from "./state/locks.js";
import type { Guest, GuestKind, NodeState, State } from "./state/model.js";
import { TaskRunner } from "./tasks/runner.js";

export interface WorldOptions {
  readonly clock: SimulatorClock;
  /** How much faster than real time tasks, boots and uptimes run. */
  readonly speed: number;
  /** Milliseconds that a task of a type takes at speed 1. */
  readonly taskDuration: (type: string) => number;
  /** Told after every change. */
  readonly onChange: () => void;
}

const QEMU_LOCK = (vmid: number): string => `/var/lock/qemu-server/lock-${vmid}.conf`;
const LXC_LOCK = (vmid: number): string => `/run/lock/lxc/pve-config-${vmid}.lock`;

/** The state with what works on it: clock, randomness, locks, tasks. One per simulator. */
export class World {
  readonly clock: SimulatorClock;
  readonly random: Random;
  readonly locks = new Locks();
  /** By `vm:100`: what HA's manager finds at its next round. */
  readonly haRequests = new Map<string, HaRequest>();
  readonly tasks: TaskRunner;
  readonly speed: number;
  /** Storages that are full or slow (milliseconds a volume that is made there), by id. */
  readonly storageFaults = new Map<string, { readonly full: boolean; readonly slow: number }>();
  private owed = 0;
  private readonly known = new WeakMap<Guest, Map<string, string | number>>();

  constructor(
    readonly state: State,
    private readonly options: WorldOptions,
  ) {
    this.clock = options.clock;
    this.speed = options.speed;
    this.random = new Random(state.random);
    this.tasks = new TaskRunner(this);
  }

  /** UTC seconds. */
  seconds(): number {
    return Math.floor(this.clock.now() / 1000);
  }

  /** Runs `action` after `ms` of simulated time. */
  after(ms: number, action: () => void): () => void {
    return this.clock.after(ms / this.speed, action);
  }

  duration(type: string): number {
    return this.options.taskDuration(type);
  }

  /** Seconds since `start` as the simulated cluster counts them. */
  age(start: number): number {
    return Math.max(0, Math.floor((this.clock.now() / 1000 - start) * this.speed));
  }

  /** To be called after every change of the state. */
  changed(): void {
    this.state.random = this.random.position;
    this.options.onChange();
  }

  /** The same, and what follows from the guest's configuration is computed anew. */
  guestChanged(guest: Guest): void {
    this.known.delete(guest);
    this.changed();
  }

  digest(guest: Guest, compute: (guest: Guest) => string): string {
    return this.derived(guest, "digest", () => compute(guest));
  }

  /** What follows from a guest's configuration alone, computed once until `guestChanged`. */
  derived<T extends string | number>(guest: Guest, what: string, compute: () => T): T {
    const known = this.known.get(guest);
    const found = known?.get(what);
    if (found !== undefined) return found as T;
    const made = compute();
    if (known === undefined) this.known.set(guest, new Map([[what, made]]));
    else known.set(what, made);
    return made;
  }

  node(name: string): NodeState | undefined {
    return this.state.nodes[name];
  }

  guest(vmid: number): Guest | undefined {
    return this.state.guests[String(vmid)];
  }

  /** The guest of a kind on a node; PVE's text names the configuration file that it misses. */
  findGuest(kind: GuestKind, node: string, vmid: number): Guest {
    const guest = this.guest(vmid);
    if (guest === undefined || guest.kind !== kind || guest.node !== node) fail(missingConfig(kind, node, vmid));
    return guest;
  }

  addGuest(guest: Guest): void {
    this.state.guests[String(guest.vmid)] = guest;
    this.changed();
  }

  removeGuest(guest: Guest): void {
    delete this.state.guests[String(guest.vmid)];
    this.changed();
  }

  lockKey(kind: GuestKind, vmid: number): string {
    return kind === "qemu" ? QEMU_LOCK(vmid) : LXC_LOCK(vmid);
  }

  /** For calls: goes on when the guest's lock is free, else the dispatcher waits and calls again. */
  needLock(kind: GuestKind, vmid: number, wait = 10_000): void {
    const key = this.lockKey(kind, vmid);
    if (this.locks.isHeld(key)) throw new Held(key, wait, lockText(key));
  }

  /** For tasks: `yield` it to hold the guest's lock until the task ends. */
  guestLock(kind: GuestKind, vmid: number, wait = 10_000): { lock: string; wait: number; text: string } {
    const lock = this.lockKey(kind, vmid);
    return { lock, wait, text: lockText(lock) };
  }

  /** PVE's words where a guest's lock was waited for in vain. */
  lockText(kind: GuestKind, vmid: number): string {
    return lockText(this.lockKey(kind, vmid));
  }

  /** Space is wanted on a storage: refused on a full one, and a slow one holds up the task that asks. */
  claimSpace(storage: string, bytes: number): void {
    const fault = this.storageFaults.get(storage);
    if (fault === undefined) return;
    if (fault.full) fail(`unable to create image: not enough free space (0 < ${bytes})`);
    this.owed += fault.slow;
  }

  /** Milliseconds that the work just done has to wait for slow storages. */
  takeOwed(): number {
    const { owed } = this;
    this.owed = 0;
    return owed;
  }

  mac(): string {
    return this.random.mac(this.state.cluster.options["mac_prefix"] ?? "BC:24:11");
  }
}

const lockText = (key: string): string => `can't lock file '${key}' - got timeout`;

/** PVE's text for a guest whose file is not there. */
export function missingConfig(kind: GuestKind, node: string, vmid: number): string {
  return `Configuration file 'nodes/${node}/${kind === "qemu" ? "qemu-server" : "lxc"}/${vmid}.conf' does not exist`;
}
