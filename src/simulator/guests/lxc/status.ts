import type { Call, Handlers } from "../../call.js";
import type { Guest } from "../../state/model.js";
import { parseSize } from "../../storage/sizes.js";
import type { World } from "../../world.js";
import { hostRead, hostWritten, load } from "../common/figures.js";
import { haStatus } from "../common/ha.js";
import { parseMount } from "./mounts.js";
import { isNet, parseLxcNet } from "./nets.js";

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

interface Address {
  readonly "ip-address": string;
  readonly "ip-address-type": "inet" | "inet6";
  readonly prefix: number;
}

function card(name: string, mac: string, address: Address | undefined): Record<string, unknown> {
  const inet = address && { inet: `${address["ip-address"]}/${address.prefix}` };
  return { name, hwaddr: mac, "hardware-address": mac, ...inet, "ip-addresses": address ? [address] : [] };
}

/** GET interfaces: static addresses as set; with DHCP one that follows from the vmid. */
function interfaces(call: Call): unknown {
  const guest = find(call);
  if (guest.run === undefined) return null;
  const v4 = (ip: string, prefix: number): Address => ({ "ip-address": ip, "ip-address-type": "inet", prefix });
  const cards = Object.keys(guest.config)
    .filter(isNet)
    .sort()
    .map((key) => {
      const net = parseLxcNet(guest.config[key] ?? "");
      const [ip = "", prefix] = (net["ip"] ?? "").split("/");
      const leased = v4(`10.0.${(guest.vmid >> 8) & 255}.${guest.vmid & 255}`, 16);
      const address = ip === "dhcp" ? leased : prefix === undefined ? undefined : v4(ip, Number(prefix));
      return card(net["name"] ?? key, (net["hwaddr"] ?? "").toLowerCase(), address);
    });
  return [card("lo", "00:00:00:00:00:00", v4("127.0.0.1", 8)), ...cards];
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
  "GET /nodes/{node}/lxc/{vmid}/status/current": (call) => {
    const guest = find(call);
    return { ...lxcRow(call.world, guest), ha: haStatus(call.state, guest) };
  },
  "GET /nodes/{node}/lxc/{vmid}/interfaces": interfaces,
};
