import type { Call, Handler, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { partsOf } from "../../table/check.js";
import { isNetKey, parseNet } from "./nets.js";

/** Seconds of uptime after which the agent of a system answers. */
const AGENT_SECONDS = 12;

/** The guest's agent, or PVE's reason why nobody answers. [BEHAVIOUR section 9] */
function withAgent(call: Call): Guest {
  const guest = call.world.findGuest("qemu", call.node, call.vmid);
  if (guest.config["agent"] === undefined) fail("No QEMU guest agent configured");
  if (guest.run === undefined) fail(`VM ${guest.vmid} is not running`);
  const enabled = partsOf(guest.config["agent"], "agent")["enabled"] === "1";
  if (!enabled || guest.run.paused || call.world.age(guest.run.startedAt) < AGENT_SECONDS)
    fail("QEMU guest agent is not running");
  return guest;
}

const simple =
  (result: (guest: Guest, call: Call) => unknown): Handler =>
  (call) => ({ result: result(withAgent(call), call) });

function interfaces(guest: Guest): unknown {
  const lo = {
    name: "lo",
    "hardware-address": "00:00:00:00:00:00",
    "ip-addresses": [{ "ip-address": "127.0.0.1", "ip-address-type": "ipv4", prefix: 8 }],
  };
  const cards = Object.keys(guest.config)
    .filter(isNetKey)
    .sort()
    .map((key, index) => ({
      name: `eth${index}`,
      "hardware-address": (parseNet(guest.config[key] ?? "")["macaddr"] ?? "").toLowerCase(),
      "ip-addresses": [address(guest, Number(key.slice(3)))],
    }));
  return [lo, ...cards];
}

/** A static address of cloud-init, else one that follows from the vmid. */
function address(guest: Guest, index: number): Record<string, unknown> {
  const given = /(?:^|,)ip=(\d[^,/]*)\/(\d+)/.exec(guest.config[`ipconfig${index}`] ?? "");
  const made = `10.0.${(guest.vmid >> 8) & 255}.${guest.vmid & 255}`;
  return { "ip-address": given?.[1] ?? made, "ip-address-type": "ipv4", prefix: Number(given?.[2] ?? 16) };
}

const at = (method: string, command: string): string => `${method} /nodes/{node}/qemu/{vmid}/agent/${command}`;

export const agentCalls: Handlers = {
  [at("POST", "ping")]: simple(() => ({})),
  [at("GET", "network-get-interfaces")]: simple(interfaces),
  [at("GET", "get-host-name")]: simple((guest) => ({ "host-name": guest.config["name"] ?? `VM${guest.vmid}` })),
  [at("GET", "get-osinfo")]: simple(() => ({
    id: "debian",
    name: "Debian GNU/Linux",
    "version-id": "12",
    machine: "x86_64",
  })),
  [at("GET", "get-time")]: simple((_guest, call) => call.world.clock.now() * 1e6),
  [at("POST", "fsfreeze-status")]: simple(() => "thawed"),
  [at("POST", "fsfreeze-freeze")]: simple(() => 1),
  [at("POST", "fsfreeze-thaw")]: simple(() => 1),
  [at("POST", "fstrim")]: simple(() => ({ paths: [] })),
  "POST /nodes/{node}/qemu/{vmid}/monitor": (call) => {
    const guest = call.world.findGuest("qemu", call.node, call.vmid);
    if (guest.run === undefined) fail(`VM ${guest.vmid} not running`);
    return "";
  },
};
