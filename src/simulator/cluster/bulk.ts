import type { Call, Handler, Handlers } from "../call.js";
import { fail, faultText } from "../fault.js";
import { haltLxc, startLxc } from "../guests/lxc/power.js";
import { settle, startQemu } from "../guests/qemu/power.js";
import type { Guest } from "../state/model.js";
import type { World } from "../world.js";

function guestsOf(call: Call, privilege: string): Guest[] {
  const named = call.list("vms").map(Number);
  if (named.length === 0) call.require("/", [privilege]);
  for (const vmid of named) call.require(`/vms/${vmid}`, [privilege]);
  return Object.values(call.state.guests).filter((guest) => named.length === 0 || named.includes(guest.vmid));
}

interface Action {
  readonly task: string;
  readonly privilege: string;
  readonly verb: string;
  readonly skip: (guest: Guest) => string | undefined;
  readonly act: (world: World, guest: Guest) => void;
}

/** One task for many guests; what fails is a warning, and the task's end. [BEHAVIOUR section 13] */
function bulk({ task, privilege, verb, skip, act }: Action): Handler {
  return (call) => {
    const guests = guestsOf(call, privilege).filter((guest) => guest.config["template"] !== "1");
    const named = call.list("vms");
    return call.task(task, "", function* (log) {
      log.line(named.length === 0 ? `${verb} all guests` : `${verb} guests: ${named.join(", ")}`);
      const failed: number[] = [];
      for (const guest of guests) {
        const word = guest.kind === "qemu" ? "VM" : "CT";
        const why = skip(guest);
        if (why !== undefined) {
          log.warn(`Skipping ${word} ${guest.vmid}, ${why}.`);
          continue;
        }
        log.line(`${verb} ${word} ${guest.vmid}`);
        yield call.world.duration(task);
        try {
          act(call.world, guest);
        } catch (error) {
          failed.push(guest.vmid);
          log.warn(`${verb} ${word} ${guest.vmid} failed: ${faultText(error)}`);
        }
      }
      if (failed.length > 0)
        fail(`Some guests failed to ${verb.replace(/ing$/, "").toLowerCase()}: ${failed.join(", ")}`);
    });
  };
}

const start: Action = {
  task: "bulk-start",
  privilege: "VM.PowerMgmt",
  verb: "Starting",
  skip: (guest) => (guest.run === undefined ? undefined : "already running"),
  act: (world, guest) => (guest.kind === "qemu" ? startQemu(world, guest) : startLxc(world, guest)),
};

const shutdown: Action = {
  task: "bulk-shutdown",
  privilege: "VM.PowerMgmt",
  verb: "Shutting down",
  skip: (guest) => (guest.run === undefined ? "not running" : undefined),
  act: (world, guest) => {
    if (guest.kind === "lxc") return haltLxc(world, guest);
    guest.run = undefined;
    settle(world, guest);
  },
};

const suspend: Action = {
  ...shutdown,
  task: "bulk-suspend",
  verb: "Suspending",
  act: (world, guest) => {
    if (guest.run !== undefined) guest.run.paused = true;
    world.guestChanged(guest);
  },
};

export const bulkCalls: Handlers = {
  "POST /cluster/bulk-action/guest/start": bulk(start),
  "POST /cluster/bulk-action/guest/shutdown": bulk(shutdown),
  "POST /cluster/bulk-action/guest/suspend": bulk(suspend),
};
