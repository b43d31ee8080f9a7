import type { Call, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { enabledStorage } from "../../storage/storages.js";
import { findVolume, locate } from "../../storage/volumes.js";
import type { World } from "../../world.js";
import { powerTask } from "../common/ha.js";
import { lockedText } from "../common/values.js";
import { overruleShutdowns } from "../qemu/power.js";
import { rootOnly } from "../qemu/permissions.js";
import { mountKind, mountsOf } from "./mounts.js";
import { isNet, parseLxcNet } from "./nets.js";
import { settleLxc } from "./update.js";

/** PVE's `vm_start` of a container: every check, then it runs. */
export function startLxc(world: World, guest: Guest): void {
  settleLxc(world, guest);
  for (const [, mount] of mountsOf(guest.config)) {
    const volid = mount["volume"] ?? "";
    if (mountKind(volid) !== "volume") continue;
    enabledStorage(world.state, locate(world.state, volid).storage.storage, guest.node);
    if (findVolume(world.state, volid, guest.node) === undefined) fail(`volume '${volid}' does not exist`);
  }
  const node = world.node(guest.node);
  for (const [key, value] of Object.entries(guest.config)) {
    const bridge = isNet(key) ? parseLxcNet(value)["bridge"] : undefined;
    if (bridge !== undefined && !node?.network.some((iface) => iface["iface"] === bridge))
      fail(`bridge '${bridge}' does not exist`);
  }
  world.state.nextPid += 1 + world.random.below(20);
  const cpus = Number(guest.config["cores"] ?? node?.cpus ?? 1);
  guest.run = { startedAt: world.clock.now() / 1000, pid: world.state.nextPid, paused: false, cpus };
  world.guestChanged(guest);
}

export function haltLxc(world: World, guest: Guest): void {
  guest.run = undefined;
  settleLxc(world, guest);
}

function running(call: Call, kind = "CT"): Guest {
  const guest = call.world.guest(call.vmid);
  if (guest?.kind !== "lxc" || guest.node !== call.node || guest.run === undefined)
    fail(`${kind} ${call.vmid} not running`);
  return guest;
}

function checkLock(guest: Guest, skiplock: boolean): void {
  const locked = lockedText(guest);
  if (locked !== undefined && !skiplock && guest.config["lock"] !== "mounted") fail(locked);
}

function start(call: Call): string {
  const { world, vmid, node } = call;
  rootOnly(call, "skiplock");
  if (world.guest(vmid)?.kind === "lxc" && world.guest(vmid)?.run !== undefined) fail(`CT ${vmid} already running`);
  const skiplock = call.flag("skiplock");
  return powerTask(call, { kind: "lxc", type: "vzstart", wants: "started" }, function* () {
    const guest = world.findGuest("lxc", node, vmid);
    yield world.guestLock("lxc", vmid);
    if (guest.config["template"] === "1") fail("you can't start a CT if it's a template");
    checkLock(guest, skiplock);
    if (guest.run !== undefined) fail(`CT ${vmid} already running`);
    yield world.duration("vzstart");
    startLxc(world, guest);
  });
}

function stop(call: Call): string {
  const { world, vmid } = call;
  rootOnly(call, "skiplock");
  const guest = running(call);
  const skiplock = call.flag("skiplock");
  if (call.flag("overrule-shutdown")) overruleShutdowns(call);
  return powerTask(call, { kind: "lxc", type: "vzstop", wants: "stopped" }, function* () {
    yield world.guestLock("lxc", vmid);
    checkLock(guest, skiplock);
    yield world.duration("vzstop");
    haltLxc(world, guest);
  });
}

function shutdown(call: Call): string {
  const { world, vmid } = call;
  const guest = running(call);
  return powerTask(call, { kind: "lxc", type: "vzshutdown", wants: "stopped" }, function* () {
    yield world.guestLock("lxc", vmid);
    checkLock(guest, false);
    yield world.duration("vzshutdown");
    haltLxc(world, guest);
  });
}

function reboot(call: Call): string {
  const { world, vmid } = call;
  const guest = running(call, "VM");
  return call.task("vzreboot", vmid, function* () {
    yield world.guestLock("lxc", vmid);
    yield world.duration("vzreboot");
    haltLxc(world, guest);
    yield world.duration("vzstart");
    startLxc(world, guest);
  });
}

/** Suspending needs CRIU, which PVE calls experimental; the processes stand still. */
function suspend(call: Call): string {
  const { world, vmid } = call;
  const guest = running(call);
  return call.task("vzsuspend", vmid, function* () {
    yield world.guestLock("lxc", vmid);
    checkLock(guest, false);
    if (guest.run !== undefined) guest.run.paused = true;
    world.guestChanged(guest);
  });
}

function resume(call: Call): string {
  const { world, vmid } = call;
  const guest = world.guest(vmid);
  if (guest?.kind === "lxc" && guest.run !== undefined && !guest.run.paused) fail(`CT ${vmid} already running`);
  return call.task("vzresume", vmid, function* () {
    yield world.guestLock("lxc", vmid);
    const found = world.findGuest("lxc", call.node, vmid);
    if (found.run === undefined) fail(`no checkpoint for CT ${vmid}`);
    found.run.paused = false;
    world.guestChanged(found);
  });
}

export const lxcPowerCalls: Handlers = {
  "POST /nodes/{node}/lxc/{vmid}/status/start": start,
  "POST /nodes/{node}/lxc/{vmid}/status/stop": stop,
  "POST /nodes/{node}/lxc/{vmid}/status/shutdown": shutdown,
  "POST /nodes/{node}/lxc/{vmid}/status/reboot": reboot,
  "POST /nodes/{node}/lxc/{vmid}/status/suspend": suspend,
  "POST /nodes/{node}/lxc/{vmid}/status/resume": resume,
};
