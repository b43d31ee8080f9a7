import { isManaged, sidOf, wantedState } from "../guests/common/ha.js";
import { migration } from "../guests/common/migration.js";
import { partsOfGuest } from "../guests/common/parts.js";
import { haltLxc, startLxc } from "../guests/lxc/power.js";
import { shutDown, startQemu } from "../guests/qemu/power.js";
import type { Document, Guest } from "../state/model.js";
import { isOnNode } from "../storage/storages.js";
import { locate } from "../storage/volumes.js";
import type { TaskLog, Work } from "../tasks/runner.js";
import type { World } from "../world.js";
import type { HaRequest } from "./ha-request.js";
import { isQuorate } from "./quorum.js";

/** Manager and agents come round this often, milliseconds of simulated time. [BEHAVIOUR section 6] */
const ROUND_MS = 10_000;
/** Rounds without a node until it counts as dead, and until its guests may run elsewhere. */
const FENCE_AFTER = 6;
const RECOVER_AFTER = 12;
const SHUTDOWN_S = 60;

/**
 * High availability: keeps managed guests as their resources say, carries out what was requested of it, and takes the
 * guests of a dead node over to another one. It acts by tasks of root@pam, as PVE's agents do.
 */
export class HaManager {
  /** The task that works on a guest for HA. */
  private readonly busy = new Map<string, string>();
  private readonly failures = new Map<string, number>();
  private readonly silentRounds = new Map<string, number>();
  private cancel: () => void = () => undefined;

  constructor(private readonly world: World) {}

  start(): void {
    this.cancel = this.world.after(ROUND_MS, () => {
      this.round();
      this.start();
    });
  }

  stop(): void {
    this.cancel();
  }

  private round(): void {
    const { state } = this.world;
    const resources = state.documents["ha-resources"];
    if (resources === undefined || !isQuorate(state)) return;
    for (const node of Object.values(state.nodes))
      if (node.online) this.silentRounds.delete(node.name);
      else this.silentRounds.set(node.name, (this.silentRounds.get(node.name) ?? 0) + 1);
    for (const [sid, resource] of Object.entries(resources)) {
      const guest = this.world.guest(Number(sid.split(":")[1]));
      if (guest !== undefined && sidOf(guest) === sid) this.look(guest, resource);
    }
    for (const sid of Object.keys(this.statuses)) if (resources[sid] === undefined) delete this.statuses[sid];
  }

  private get statuses(): Record<string, Document> {
    return (this.world.state.documents["ha-status"] ??= {});
  }

  private note(guest: Guest, state: string): void {
    if (this.statuses[sidOf(guest)]?.["state"] === state) return;
    this.statuses[sidOf(guest)] = { state };
    this.world.changed();
  }

  private look(guest: Guest, resource: Document): void {
    const sid = sidOf(guest);
    const { world } = this;
    if (!isManaged(world.state, guest)) {
      delete this.statuses[sid];
      return;
    }
    if (world.node(guest.node)?.online !== true) return this.silent(guest);
    if (this.isBusy(guest, resource)) return;
    const wanted = wantedState(world.state, guest) ?? "started";
    if (this.statuses[sid]?.["state"] === "error" && wanted !== "disabled") return;
    const request = world.haRequests.get(sid);
    if (request !== undefined && "move" in request) return this.move(guest, request);
    world.haRequests.delete(sid);
    const isWanted = wanted === "started";
    this.note(guest, isWanted ? "started" : "stopped");
    if (isWanted === (guest.run !== undefined) || guest.config["template"] === "1") return;
    if (request?.node === guest.node) this.run(guest, request.type, request.work);
    else if (isWanted) this.run(guest, guest.kind === "qemu" ? "qmstart" : "vzstart", () => this.starting(guest));
    else this.run(guest, guest.kind === "qemu" ? "qmshutdown" : "vzshutdown", (log) => this.stopping(guest, log));
  }

  /** Whether a task of HA's is under way. One that failed counts: too often, and the guest is left in error. */
  private isBusy(guest: Guest, resource: Document): boolean {
    const sid = sidOf(guest);
    const upid = this.busy.get(sid);
    if (upid === undefined) return false;
    if (this.world.tasks.isActive(upid)) return true;
    this.busy.delete(sid);
    const task = this.world.tasks.get(upid);
    const isStart = task !== undefined && /start$/.test(task.type);
    if (!isStart || task.status === "OK") {
      this.failures.delete(sid);
      return false;
    }
    const failed = (this.failures.get(sid) ?? 0) + 1;
    this.failures.set(sid, failed);
    if (failed > Number(resource["max_restart"] ?? 1)) {
      this.failures.delete(sid);
      this.note(guest, "error");
    }
    return false;
  }

  private run(guest: Guest, type: string, work: (log: TaskLog) => Work): void {
    const upid = this.world.tasks.start({
      node: guest.node,
      type,
      id: String(guest.vmid),
      user: "root@pam",
      work: function* (log) {
        log.line("task started by HA resource agent");
        yield* work(log);
      },
    });
    this.busy.set(sidOf(guest), upid);
  }

  private *starting(guest: Guest): Work {
    const { world } = this;
    yield world.guestLock(guest.kind, guest.vmid);
    yield world.duration(guest.kind === "qemu" ? "qmstart" : "vzstart");
    if (guest.kind === "qemu") startQemu(world, guest);
    else startLxc(world, guest);
  }

  private *stopping(guest: Guest, log: TaskLog): Work {
    const { world } = this;
    yield world.guestLock(guest.kind, guest.vmid);
    if (guest.kind === "qemu") {
      const how = { timeout: SHUTDOWN_S, force: true, skiplock: false, type: "qmshutdown" };
      yield* shutDown(world, guest, how, log);
      return;
    }
    yield world.duration("vzshutdown");
    haltLxc(world, guest);
  }

  /** Live where it can be; else, and for every container, it is shut down first and started on the other node. */
  private move(guest: Guest, request: Extract<HaRequest, { move: string }>): void {
    const { world } = this;
    const sid = sidOf(guest);
    const isPossible = request.move !== guest.node && world.node(request.move)?.online === true;
    if (!isPossible) {
      world.haRequests.delete(sid);
      return;
    }
    this.note(guest, request.relocate ? "relocate" : "migrate");
    if (request.relocate && guest.run !== undefined)
      return this.run(guest, guest.kind === "qemu" ? "qmshutdown" : "vzshutdown", (log) => this.stopping(guest, log));
    world.haRequests.delete(sid);
    const plan = { guest, to: request.move, map: (storage: string) => storage, withDisks: true, restart: false };
    this.run(guest, guest.kind === "qemu" ? "qmigrate" : "vzmigrate", (log) => migration(world, plan, log));
  }

  /** A node that does not answer: after a while it is fenced, and its guests go to another one. */
  private silent(guest: Guest): void {
    const { world } = this;
    const rounds = this.silentRounds.get(guest.node) ?? 0;
    if (rounds < FENCE_AFTER) return;
    const to = this.refuge(guest);
    if (rounds < RECOVER_AFTER || to === undefined)
      return this.note(guest, rounds < RECOVER_AFTER ? "fence" : "recovery");
    this.busy.delete(sidOf(guest));
    guest.run = undefined;
    delete guest.config["lock"];
    guest.node = to;
    this.note(guest, "started");
    world.guestChanged(guest);
  }

  /** The node with the fewest guests of those that have the guest's storages. */
  private refuge(guest: Guest): string | undefined {
    const { state } = this.world;
    const storages = partsOfGuest(guest).map(({ volid }) => locate(state, volid).storage);
    const load = (node: string): number => Object.values(state.guests).filter((one) => one.node === node).length;
    const fit = Object.values(state.nodes)
      .filter((node) => node.online && storages.every((storage) => isOnNode(storage, node.name)))
      .map((node) => node.name);
    return fit.sort((a, b) => load(a) - load(b) || (a < b ? -1 : 1))[0];
  }
}
