import { haStatus } from "../common/ha.js";
import type { Call, Handlers } from "../../call.js";
import type { Guest } from "../../state/model.js";
import { partsOf } from "../../table/check.js";
import type { World } from "../../world.js";
import { hostRead, hostWritten, load } from "../common/figures.js";
import { bootDiskSize, isDriveKey } from "./drives.js";
import { maxCpus } from "./hotplug.js";
import { QEMU_VERSION, runningMachine } from "./machine.js";
import { isNetKey } from "./nets.js";

const MIB = 2 ** 20;

export const memoryBytes = (config: Readonly<Record<string, string>>): number =>
  Number(/(?:^|current=)(\d+)/.exec(config["memory"] ?? "")?.[1] ?? 512) * MIB;

export const guestName = (guest: Guest): string => guest.config["name"] ?? `VM ${guest.vmid}`;

/** vCPUs as lists show them: the node's number at most, unless `vcpus` says otherwise. */
export function shownCpus(world: World, guest: Guest): number {
  const { vcpus } = guest.config;
  if (vcpus !== undefined && vcpus !== "0") return Number(vcpus);
  return Math.min(maxCpus(guest.config), world.node(guest.node)?.cpus ?? 1);
}

const PRESSURES = ["cpusome", "cpufull", "iosome", "iofull", "memorysome", "memoryfull"];

/** PVE's `vmstatus` of one VM: the row of the node's list. */
export function qemuRow(world: World, guest: Guest): Record<string, unknown> {
  const { config, run } = guest;
  const figures = load(world, guest);
  const row: Record<string, unknown> = {
    vmid: guest.vmid,
    name: guestName(guest),
    status: run === undefined ? "stopped" : "running",
    cpus: shownCpus(world, guest),
    cpu: figures.cpu,
    mem: figures.mem,
    maxmem: memoryBytes(config),
    memhost: figures.mem,
    disk: 0,
    maxdisk: bootDiskSize(config),
    netin: figures.netin,
    netout: figures.netout,
    uptime: run === undefined ? 0 : world.age(run.startedAt),
  };
  if (config["tags"] !== undefined) row["tags"] = config["tags"];
  if (config["template"] === "1") row["template"] = 1;
  if (config["lock"] !== undefined) row["lock"] = config["lock"];
  if ([0, 1, 2, 3].some((n) => config[`serial${n}`] !== undefined)) row["serial"] = 1;
  if (run !== undefined) {
    row["pid"] = run.pid;
    for (const name of PRESSURES) row[`pressure${name}`] = 0;
  }
  if (config["balloon"] !== undefined && config["balloon"] !== "0") {
    row["balloon_min"] = Number(config["balloon"]) * MIB;
    row["shares"] = Number(config["shares"] ?? 1000);
  }
  return row;
}

/** The same with what only a question to the machine itself gives. */
export function fullRow(world: World, guest: Guest): Record<string, unknown> {
  const row = qemuRow(world, guest);
  const { config, run } = guest;
  if (run === undefined) return { ...row, qmpstatus: "stopped" };
  const nets = Object.keys(config).filter(isNetKey);
  const balloon = config["balloon"] === "0" ? {} : { balloon: memoryBytes(config), ballooninfo: ballooning(config) };
  return {
    ...row,
    qmpstatus: run.paused ? "paused" : "running",
    diskread: hostRead(world, guest),
    diskwrite: hostWritten(world, guest),
    ...balloon,
    blockstat: Object.fromEntries(
      Object.keys(config)
        .filter(isDriveKey)
        .map((key) => [key, { rd_bytes: 0, wr_bytes: 0 }]),
    ),
    ...(nets.length > 0 && {
      nics: Object.fromEntries(nets.map((key) => [`tap${guest.vmid}i${key.slice(3)}`, { netin: 0, netout: 0 }])),
    }),
    "running-machine": runningMachine(config),
    "running-qemu": QEMU_VERSION,
    "proxmox-support": { "backup-max-workers": true, "pbs-dirty-bitmap": true, "query-bitmap-info": true },
  };
}

const ballooning = (config: Readonly<Record<string, string>>): Record<string, number> => ({
  actual: memoryBytes(config),
  max_mem: memoryBytes(config),
});

function current(call: Call): unknown {
  const guest = call.world.findGuest("qemu", call.node, call.vmid);
  const row = fullRow(call.world, guest);
  const { config } = guest;
  row["ha"] = haStatus(call.state, guest);
  if (config["agent"] !== undefined && partsOf(config["agent"], "agent")["enabled"] === "1") row["agent"] = 1;
  if (config["vga"] !== undefined) {
    const vga = partsOf(config["vga"], "vga");
    row["clipboard"] = vga["clipboard"] ?? null;
    if (/^qxl/.test(vga["type"] ?? "")) row["spice"] = 1;
  }
  return row;
}

function list(call: Call): unknown {
  const guests = Object.values(call.state.guests).filter((g) => g.kind === "qemu" && g.node === call.node);
  const full = call.flag("full");
  return guests
    .filter((guest) => call.holds(`/vms/${guest.vmid}`, ["VM.Audit"]))
    .map((guest) => (full ? fullRow(call.world, guest) : qemuRow(call.world, guest)));
}

const GUEST_INDEX =
  "config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd rrddata monitor agent snapshot spiceproxy sendkey firewall mtunnel remote_migrate";
const STATUS_INDEX = "current start stop reset shutdown suspend reboot";

const subdirs = (words: string): { subdir: string }[] => words.split(" ").map((subdir) => ({ subdir }));

export const statusCalls: Handlers = {
  "GET /nodes/{node}/qemu": list,
  "GET /nodes/{node}/qemu/{vmid}": () => subdirs(GUEST_INDEX),
  "GET /nodes/{node}/qemu/{vmid}/status": (call) => {
    call.world.findGuest("qemu", call.node, call.vmid);
    return subdirs(STATUS_INDEX);
  },
  "GET /nodes/{node}/qemu/{vmid}/status/current": current,
};
