import type { Call, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { enabledStorage } from "../../storage/storages.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import { isManaged } from "../common/ha.js";
import { lockedText } from "../common/values.js";
import { rootOnly } from "./permissions.js";
import { runningGuest, startQemu } from "./power.js";
import { checkSavable, saveState, stateStorage } from "./vmstate.js";

/** A VM that is only paused stays in memory; `todisk` saves it to a volume and ends it. [BEHAVIOUR section 3, 7] */
function suspend(call: Call): string {
  const { world, vmid } = call;
  rootOnly(call, "skiplock");
  const guest = runningGuest(call);
  const storage = call.flag("todisk") ? checkToDisk(call, guest) : undefined;
  const skiplock = call.flag("skiplock");
  return call.task(storage !== undefined ? "qmsuspend" : "qmpause", vmid, function* (log) {
    yield world.guestLock("qemu", vmid);
    const { lock } = guest.config;
    const locked = lockedText(guest);
    if (locked !== undefined && !skiplock && lock !== "backup") fail(locked);
    if (storage !== undefined) {
      if (lock === "backup") fail("cannot suspend to disk during backup");
      yield* saveToDisk(call, guest, storage, log);
      return;
    }
    yield world.duration("qmpause");
    if (guest.run !== undefined) guest.run.paused = true;
    world.guestChanged(guest);
  });
}

/** @returns the storage for the state */
function checkToDisk(call: Call, guest: Guest): string {
  if (isManaged(call.state, guest)) fail("Cannot suspend HA managed VM to disk");
  call.require(`/vms/${guest.vmid}`, ["VM.Config.Disk"]);
  const storage = call.text("statestorage") ?? stateStorage(call.world, guest);
  call.require(`/storage/${storage}`, ["Datastore.AllocateSpace"]);
  return storage;
}

/** The lock stays `suspending` where saving fails: something went wrong. */
function* saveToDisk(call: Call, guest: Guest, storage: string, log: TaskLog): Work {
  const { world } = call;
  checkSavable(guest);
  enabledStorage(call.state, storage, guest.node);
  const name = `suspend-${new Date(world.clock.now()).toISOString().slice(0, 10)}`;
  const duration = world.duration("qmsuspend");
  guest.config["lock"] = "suspending";
  yield* saveState(world, { guest, storage, name, into: guest.config, duration, log });
  log.line("State saved, quitting");
  guest.config["lock"] = "suspended";
  guest.run = undefined;
  world.guestChanged(guest);
}

function resume(call: Call): string {
  const { world, vmid } = call;
  rootOnly(call, "skiplock");
  const guest = world.guest(vmid);
  if (guest?.kind === "qemu" && guest.config["lock"] === "suspended" && guest.run === undefined)
    return call.task("qmresume", vmid, function* (log) {
      yield world.guestLock("qemu", vmid);
      startQemu(world, guest, log);
    });
  const running = runningGuest(call);
  const skiplock = call.flag("skiplock");
  return call.task("qmresume", vmid, function* () {
    yield world.guestLock("qemu", vmid);
    const locked = lockedText(running);
    if (locked !== undefined && !skiplock && running.config["lock"] !== "backup") fail(locked);
    yield world.duration("qmresume");
    if (running.run !== undefined) running.run.paused = false;
    world.guestChanged(running);
  });
}

export const suspendCalls: Handlers = {
  "POST /nodes/{node}/qemu/{vmid}/status/suspend": suspend,
  "POST /nodes/{node}/qemu/{vmid}/status/resume": resume,
};
