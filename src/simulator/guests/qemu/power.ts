import type { Call, Handlers } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { enabledStorage } from "../../storage/storages.js";
import { findVolume, locate } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { isManaged, powerTask } from "../common/ha.js";
import { lockedText } from "../common/values.js";
import { writeCloudInit } from "./cloud-init.js";
import { bootOrder, drive, isDriveKey } from "./drives.js";
import { applyPending, maxCpus } from "./hotplug.js";
import { checkMemory } from "./memory.js";
import { isNetKey, parseNet } from "./nets.js";
import { rootOnly } from "./permissions.js";
import { registerUnused } from "./unused.js";
import { dropState } from "./vmstate.js";

/** Seconds of uptime after which a system reacts to the power button. */
const BOOT_SECONDS = 12;
const DEFAULT_TIMEOUT_S = 60;

const notFound = (node: string, vmid: number): string =>
  `unable to find configuration file for VM ${vmid} on node '${node}'`;

export function runningGuest(call: Call): Guest {
  const guest = call.world.guest(call.vmid);
  if (guest === undefined || guest.kind !== "qemu" || guest.node !== call.node) fail(notFound(call.node, call.vmid));
  if (guest.run === undefined) fail(`VM ${guest.vmid} not running`);
  return guest;
}

/** Takes what is pending into a stopped VM. Faults are left to the next start, as PVE logs them only. */
export function settle(world: World, guest: Guest): void {
  applyPending({ world, guest, destroy: (key) => registerUnused(world, guest, key, guest.config[key] ?? "") });
  world.guestChanged(guest);
}

/** PVE's `vm_start`: every check, then the machine runs, from its saved state if there is one. @throws the task's error */
export function startQemu(world: World, guest: Guest, log?: TaskLog): void {
  if (guest.config["template"] === "1") fail("you can't start a vm if it's a template");
  if (guest.run !== undefined) fail(`VM ${guest.vmid} already running`);
  const { config } = guest;
  const isSuspended = config["lock"] === "suspended";
  if (isSuspended) log?.line("Resuming suspended VM");
  // what is pending would not fit the saved machine
  if (!isSuspended || config["vmstate"] === undefined) settle(world, guest);
  const node = world.node(guest.node) ?? fail(`no such node '${guest.node}'`);
  const cpus = config["vcpus"] === undefined ? maxCpus(config) : Number(config["vcpus"]);
  if (maxCpus(config) > node.cpus || cpus > node.cpus) fail(`MAX ${node.cpus} vcpus allowed per VM on this node`);
  checkHardware(world, guest);
  checkMemory(config);
  writeCloudInit(world, guest);
  world.state.nextPid += 1 + world.random.below(20);
  guest.run = { startedAt: world.clock.now() / 1000, pid: world.state.nextPid, paused: false, cpus };
  if (isSuspended) {
    log?.line("Resumed VM, removing state");
    delete config["lock"];
    dropState(world, guest, config);
  }
  world.guestChanged(guest);
}

function checkHardware(world: World, guest: Guest): void {
  const node = world.node(guest.node);
  for (const [key, value] of Object.entries(guest.config)) {
    if (isDriveKey(key)) {
      const file = drive(key, value)["file"] ?? "";
      if (file === "none" || file === "cdrom" || file.startsWith("/")) continue;
      const { storage } = locate(world.state, file);
      enabledStorage(world.state, storage.storage, guest.node);
      if (findVolume(world.state, file, guest.node) === undefined) fail(`volume '${file}' does not exist`);
    } else if (isNetKey(key)) {
      const bridge = parseNet(value)["bridge"];
      if (bridge !== undefined && !node?.network.some((iface) => iface["iface"] === bridge))
        fail(`bridge '${bridge}' does not exist`);
    }
  }
}

/** Whether the VM boots from a disk with a system on it. */
export function bootsSystem(world: World, guest: Guest): boolean {
  const order = bootOrder(guest.config);
  const keys = order.length > 0 ? order : Object.keys(guest.config).filter(isDriveKey);
  return keys.some((key) => {
    const value = guest.config[key];
    if (value === undefined || !isDriveKey(key)) return false;
    return findVolume(world.state, drive(key, value)["file"] ?? "", guest.node)?.bootable === true;
  });
}

/** Whether the VM boots a system that knows the power button, and is up. */
function reactsToShutdown(world: World, guest: Guest): boolean {
  if (guest.run === undefined || guest.run.paused) return false;
  return bootsSystem(world, guest) && world.age(guest.run.startedAt) >= BOOT_SECONDS;
}

export function powerOff(world: World, guest: Guest): void {
  guest.run = undefined;
  settle(world, guest);
}

interface Stop {
  readonly timeout: number | undefined;
  readonly force: boolean;
  readonly skiplock: boolean;
  readonly type: string;
}

/** PVE's `_do_vm_stop` with shutdown: asks, waits, and kills only with force. */
export function* shutDown(world: World, guest: Guest, { timeout, force, skiplock, type }: Stop, log: TaskLog): Work {
  if (guest.run === undefined) return;
  const locked = lockedText(guest);
  if (locked !== undefined && !skiplock) fail(locked);
  const down = /(?:^|,)down=(\d+)/.exec(guest.config["startup"] ?? "")?.[1];
  const limit = timeout ?? (down === undefined ? DEFAULT_TIMEOUT_S : Number(down));
  const paused = guest.run.paused && force;
  const started = world.clock.now();
  while (!paused && !reactsToShutdown(world, guest)) {
    if (guest.run === undefined) return;
    const waited = ((world.clock.now() - started) / 1000) * world.speed;
    if (waited >= limit) {
      if (!force) fail("VM quit/powerdown failed - got timeout");
      log.line("VM still running - terminating now with SIGTERM");
      powerOff(world, guest);
      return;
    }
    yield Math.max(20, Math.min(500, (limit - waited) * 1000));
  }
  yield world.duration(type);
  powerOff(world, guest);
}

function start(call: Call): string {
  const { world, vmid, node } = call;
  rootOnly(
    call,
    "skiplock",
    "stateuri",
    "migratedfrom",
    "migration_type",
    "migration_network",
    "force-cpu",
    "nets-host-mtu",
  );
  if (call.has("targetstorage")) {
    rootOnly(call, "targetstorage");
    if (!call.has("migratedfrom")) refuse({ targetstorage: "targetstorage can only by used with migratedfrom." });
  }
  const skiplock = call.flag("skiplock");
  return powerTask(call, { kind: "qemu", type: "qmstart", wants: "started" }, function* (log) {
    const guest = world.findGuest("qemu", node, vmid);
    yield world.guestLock("qemu", vmid);
    const { lock } = guest.config;
    const excepted = lock === "suspended" || (lock === "backup" && guest.run !== undefined);
    const locked = lockedText(guest);
    if (guest.config["template"] === "1") fail("you can't start a vm if it's a template");
    if (locked !== undefined && !skiplock && !excepted) fail(locked);
    if (guest.run !== undefined) fail(`VM ${vmid} already running`);
    yield world.duration("qmstart");
    startQemu(world, guest, log);
  });
}

function stop(call: Call): string {
  const { world, vmid, node } = call;
  rootOnly(call, "skiplock", "keepActive", "migratedfrom");
  const skiplock = call.flag("skiplock");
  if (call.flag("overrule-shutdown")) {
    if (isManaged(call.state, { kind: "qemu", vmid }))
      refuse({ "overrule-shutdown": "Not applicable for HA resources." });
    overruleShutdowns(call);
  }
  return powerTask(call, { kind: "qemu", type: "qmstop", wants: "stopped" }, function* () {
    yield world.guestLock("qemu", vmid);
    const guest = taskGuest(world, node, vmid);
    if (guest.run === undefined) return;
    const locked = lockedText(guest);
    if (locked !== undefined && !skiplock) fail(locked);
    yield world.duration("qmstop");
    powerOff(world, guest);
  });
}

function taskGuest(world: World, node: string, vmid: number): Guest {
  const guest = world.guest(vmid);
  if (guest?.kind !== "qemu" || guest.node !== node) fail(notFound(node, vmid));
  return guest;
}

/** `overrule-shutdown` aborts the caller's own running shutdown tasks first. */
export function overruleShutdowns(call: Call): void {
  for (const task of call.state.tasks)
    if (task.status === undefined && /^(qm|vz)shutdown$/.test(task.type) && task.id === String(call.vmid))
      if (task.user === call.login.name || call.holds(`/nodes/${call.node}`, ["Sys.Modify"]))
        call.world.tasks.stop(task.upid);
}

function shutdown(call: Call): string {
  const { world, vmid, node } = call;
  rootOnly(call, "skiplock", "keepActive");
  const guest = world.guest(vmid);
  const force = call.flag("forceStop");
  if (guest?.kind === "qemu" && guest.run?.paused === true && !force) fail("VM is paused - cannot shutdown");
  // HA kills what does not shut down in time
  const kills = force || isManaged(call.state, { kind: "qemu", vmid });
  const options = { timeout: call.int("timeout"), force: kills, skiplock: call.flag("skiplock"), type: "qmshutdown" };
  return powerTask(call, { kind: "qemu", type: "qmshutdown", wants: "stopped" }, function* (log) {
    yield world.guestLock("qemu", vmid);
    yield* shutDown(world, taskGuest(world, node, vmid), options, log);
  });
}

function reboot(call: Call): string {
  const { world, vmid } = call;
  const guest = runningGuest(call);
  if (guest.run?.paused === true) fail("VM is paused - cannot shutdown");
  const options = { timeout: call.int("timeout"), force: false, skiplock: false, type: "qmreboot" };
  return call.task("qmreboot", vmid, function* (log) {
    yield world.guestLock("qemu", vmid);
    yield* shutDown(world, guest, options, log);
    // QEMU's end starts it again: the task does not wait for that
    world.after(Math.max(1, world.duration("qmstart")), () => startAgain(world, guest));
  });
}

function startAgain(world: World, guest: Guest): void {
  if (world.guest(guest.vmid) !== guest || guest.run !== undefined) return;
  world.tasks.start({
    node: guest.node,
    type: "qmstart",
    id: String(guest.vmid),
    user: "root@pam",
    work: function* () {
      yield world.guestLock("qemu", guest.vmid);
      startQemu(world, guest);
    },
  });
}

function reset(call: Call): string {
  rootOnly(call, "skiplock");
  const guest = runningGuest(call);
  const skiplock = call.flag("skiplock");
  const { world } = call;
  return call.task("qmreset", guest.vmid, function* () {
    yield world.guestLock("qemu", guest.vmid);
    const locked = lockedText(guest);
    if (locked !== undefined && !skiplock) fail(locked);
    yield world.duration("qmreset");
    world.guestChanged(guest);
  });
}

export const powerCalls: Handlers = {
  "POST /nodes/{node}/qemu/{vmid}/status/start": start,
  "POST /nodes/{node}/qemu/{vmid}/status/stop": stop,
  "POST /nodes/{node}/qemu/{vmid}/status/shutdown": shutdown,
  "POST /nodes/{node}/qemu/{vmid}/status/reboot": reboot,
  "POST /nodes/{node}/qemu/{vmid}/status/reset": reset,
};
