import type { Call, Handler, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest, Running } from "../../state/model.js";
import { partsOf } from "../../table/check.js";
import { reachExec, reachExecStatus, readFile, writeFile } from "./agent-programs.js";
import { AGENT_FACTS } from "./agent-facts.js";
import { bootsSystem, powerOff } from "./power.js";

/** Seconds of uptime after which the agent of a system answers. */
const AGENT_SECONDS = 12;

/** The guest's agent, or PVE's reason why nobody answers. [BEHAVIOUR section 9] */
function withAgent(call: Call): { guest: Guest; run: Running } {
  const { world } = call;
  const guest = world.findGuest("qemu", call.node, call.vmid);
  const { run } = guest;
  if (guest.config["agent"] === undefined) fail("No QEMU guest agent configured");
  if (run === undefined) fail(`VM ${guest.vmid} is not running`);
  const enabled = partsOf(guest.config["agent"], "agent")["enabled"] === "1";
  if (!enabled || run.paused || world.age(run.startedAt) < AGENT_SECONDS || !bootsSystem(world, guest))
    fail("QEMU guest agent is not running");
  return { guest, run };
}

interface Asked {
  readonly guest: Guest;
  readonly run: Running;
  readonly call: Call;
}

type Command = (asked: Asked) => unknown;

const result =
  (command: Command): Handler =>
  (call) => ({ result: command({ ...withAgent(call), call }) });

/** What changes something inside; the numbers are those of file systems. */
const DOING: Readonly<Record<string, Command>> = {
  ping: () => ({}),
  "fsfreeze-status": ({ run }) => (run.agent?.frozen === true ? "frozen" : "thawed"),
  "fsfreeze-freeze": (asked) => freeze(asked, true),
  "fsfreeze-thaw": (asked) => freeze(asked, false),
  fstrim: () => ({ paths: [{ path: "/", minimum: 0, trimmed: 0 }] }),
  "suspend-ram": pause,
  "suspend-hybrid": pause,
  "suspend-disk": shutdown,
  shutdown,
};

function freeze({ run, call }: Asked, frozen: boolean): number {
  const changed = (run.agent?.frozen === true) !== frozen;
  run.agent = { ...run.agent, frozen };
  call.world.changed();
  return changed ? 1 : 0;
}

/** The agent says nothing when it went well: the system is gone some seconds later. */
function shutdown({ guest, run, call: { world } }: Asked): object {
  world.after(world.duration("qmshutdown"), () => {
    if (guest.run === run) powerOff(world, guest);
  });
  return {};
}

function pause({ guest, run, call: { world } }: Asked): object {
  run.paused = true;
  world.guestChanged(guest);
  return {};
}

const at = (method: string, command: string): string => `${method} /nodes/{node}/qemu/{vmid}/agent/${command}`;

const each = (method: string, commands: Readonly<Record<string, Command>>): Handlers =>
  Object.fromEntries(Object.entries(commands).map(([name, command]) => [at(method, name), result(command)]));

const READING: Readonly<Record<string, Command>> = Object.fromEntries(
  Object.entries(AGENT_FACTS).map(([name, fact]) => [name, ({ guest, call }: Asked) => fact(call.world, guest)]),
);

/** The old call for all of them. */
function byName(call: Call): unknown {
  const name = call.need("command");
  const command = READING[name] ?? DOING[name] ?? fail(`VM ${call.vmid} qga command '${name}' failed`);
  return result(command)(call);
}

export const agentCalls: Handlers = {
  ...each("GET", READING),
  ...each("POST", DOING),
  "POST /nodes/{node}/qemu/{vmid}/agent": byName,
  [at("POST", "set-user-password")]: result(() => ({})),
  [at("POST", "exec")]: (call) => reachExec(call, withAgent(call)),
  [at("GET", "exec-status")]: (call) => reachExecStatus(call, withAgent(call)),
  [at("GET", "file-read")]: (call) => readFile(call, withAgent(call)),
  [at("POST", "file-write")]: (call) => writeFile(call, withAgent(call)),
  "POST /nodes/{node}/qemu/{vmid}/monitor": (call) => {
    const guest = call.world.findGuest("qemu", call.node, call.vmid);
    if (guest.run === undefined) fail(`VM ${guest.vmid} not running`);
    return "";
  },
};
