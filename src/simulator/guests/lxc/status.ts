import type { Call, Handlers } from "../../call.js";
import type { Guest } from "../../state/model.js";
import { parseSize } from "../../storage/sizes.js";
import type { World } from "../../world.js";
import { hostRead, hostWritten, load } from "../common/figures.js";
import { parseMount } from "./mounts.js";

const MIB = 2 ** 20;

export const lxcName = (guest: Guest): string => guest.config["hostname"] ?? `CT${guest.vmid}`;
export const lxcMemory = (guest: Guest): number => Number(guest.config["memory"] ?? 512) * MIB;

/** A container without `cores` has all of the node's. */
export function lxcCpus(world: World, guest: Guest): number {
  const { cores } = guest.config;
  return cores === undefined ? (world.node(guest.node)?.cpus ?? 1) : Number(cores);
}

export function lxcDiskSize(guest: Guest): number {
  const rootfs = guest.config["rootfs"];
  return rootfs === undefined ? 0 : (parseSize(parseMount("rootfs", rootfs)["size"] ?? "") ?? 0);
}

export const lxcDiskUsed = (_world: World, guest: Guest): number => (guest.run === undefined ? 0 : 2_953_216);

const PRESSURES = ["cpusome", "cpufull", "iosome", "iofull", "memorysome", "memoryfull"];

/** PVE's `vmstatus` of one container. */
export function lxcRow(world: World, guest: Guest): Record<string, unknown> {
  const { config, run } = guest;
  const figures = load(world, guest);
  const row: Record<string, unknown> = {
    vmid: guest.vmid,
    type: "lxc",
    name: lxcName(guest),
    status: run === undefined ? "stopped" : "running",
    cpus: lxcCpus(world, guest),
    cpu: figures.cpu,
    mem: figures.mem,
    maxmem: lxcMemory(guest),
    swap: 0,
    maxswap: Number(config["swap"] ?? 512) * MIB,
    disk: lxcDiskUsed(world, guest),
    maxdisk: lxcDiskSize(guest),
    netin: figures.netin,
    netout: figures.netout,
    diskread: hostRead(world, guest),
    diskwrite: hostWritten(world, guest),
    uptime: run === undefined ? 0 : world.age(run.startedAt),
  };
  if (config["tags"] !== undefined) row["tags"] = config["tags"];
  if (config["template"] === "1") row["template"] = 1;
  if (config["lock"] !== undefined) row["lock"] = config["lock"];
  if (run !== undefined) {
    row["pid"] = run.pid;
    for (const name of PRESSURES) row[`pressure${name}`] = "0.00";
  }
  return row;
}

const GUEST_INDEX =
  "config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone rrd rrddata firewall snapshot resize interfaces";
const STATUS_INDEX = "current start stop shutdown reboot migrate";
const subdirs = (words: string): { subdir: string }[] => words.split(" ").map((subdir) => ({ subdir }));

const find = (call: Call): Guest => call.world.findGuest("lxc", call.node, call.vmid);

function interfaces(call: Call): unknown {
  const guest = find(call);
  if (guest.run === undefined) return null;
  const lo = { name: "lo", hwaddr: "00:00:00:00:00:00", "hardware-address": "00:00:00:00:00:00", inet: "127.0.0.1/8" };
  return [{ ...lo, "ip-addresses": [{ "ip-address": "127.0.0.1", "ip-address-type": "inet", prefix: 8 }] }];
}

export const lxcStatusCalls: Handlers = {
  "GET /nodes/{node}/lxc": (call) =>
    Object.values(call.state.guests)
      .filter((g) => g.kind === "lxc" && g.node === call.node && call.holds(`/vms/${g.vmid}`, ["VM.Audit"]))
      .map((guest) => lxcRow(call.world, guest)),
  "GET /nodes/{node}/lxc/{vmid}": (call) => {
    find(call);
    return subdirs(GUEST_INDEX);
  },
  "GET /nodes/{node}/lxc/{vmid}/status": (call) => {
    find(call);
    return subdirs(STATUS_INDEX);
  },
  "GET /nodes/{node}/lxc/{vmid}/status/current": (call) => ({ ...lxcRow(call.world, find(call)), ha: { managed: 0 } }),
  "GET /nodes/{node}/lxc/{vmid}/interfaces": interfaces,
};
