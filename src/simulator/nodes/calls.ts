import type { Call, Handlers } from "../call.js";
import { refuse } from "../fault.js";
import type { NodeState } from "../state/model.js";
import { API_VERSION } from "../table/table.js";
import { nodeFigures } from "./figures.js";

const REPO_ID = "14a22df3b1c2d3e4";
const KERNEL = "6.14.8-2-pve";

export const version = { version: API_VERSION, release: API_VERSION.replace(/\.\d+$/, ""), repoid: REPO_ID };

function list(call: Call): unknown {
  return Object.values(call.state.nodes).map((node) => {
    const base = {
      id: `node/${node.name}`,
      type: "node",
      node: node.name,
      status: node.online ? "online" : "offline",
      level: "",
      ssl_fingerprint: fingerprint(node),
    };
    if (!node.online || !call.holds(`/nodes/${node.name}`, ["Sys.Audit"])) return base;
    return { ...base, ...nodeFigures(call.world, node) };
  });
}

/** Made up, but the same each time. */
const fingerprint = (node: NodeState): string =>
  Array.from({ length: 32 }, (_, i) =>
    ((node.id * 37 + i * 11) % 256).toString(16).padStart(2, "0").toUpperCase(),
  ).join(":");

function status(call: Call): unknown {
  const node = call.world.node(call.node);
  if (node === undefined) return null;
  const figures = nodeFigures(call.world, node);
  const of = (key: string): number => figures[key] ?? 0;
  return {
    uptime: of("uptime"),
    cpu: of("cpu"),
    wait: 0,
    idle: 0,
    loadavg: ["0.10", "0.12", "0.10"],
    memory: { total: node.memory, used: of("mem"), free: node.memory - of("mem"), available: node.memory - of("mem") },
    swap: { total: 0, used: 0, free: 0 },
    rootfs: {
      total: of("maxdisk"),
      used: of("disk"),
      free: of("maxdisk") - of("disk"),
      avail: of("maxdisk") - of("disk"),
    },
    ksm: { shared: 0 },
    cpuinfo: {
      cpus: node.cpus,
      cores: node.cpus,
      sockets: 1,
      model: "Simulated CPU",
      mhz: "2400.000",
      hvm: "1",
      flags: "fpu vme sse2",
      user_hz: 100,
      family: "25",
      vendor: "AuthenticAMD",
    },
    kversion: `Linux ${KERNEL}`,
    "current-kernel": { sysname: "Linux", release: KERNEL, version: "#1 SMP PREEMPT_DYNAMIC", machine: "x86_64" },
    "boot-info": { mode: "legacy-bios" },
    pveversion: `pve-manager/${API_VERSION}/${REPO_ID}`,
  };
}

function network(call: Call): unknown {
  const type = call.text("type");
  const wanted: Record<string, string[]> = {
    any_bridge: ["bridge", "OVSBridge"],
    any_local_bridge: ["bridge", "OVSBridge"],
    include_sdn: ["bridge", "OVSBridge"],
  };
  const kinds = type === undefined ? undefined : (wanted[type] ?? [type]);
  const interfaces = call.world.node(call.node)?.network ?? [];
  if (kinds === undefined) return interfaces;
  const path = (iface: Record<string, unknown>): string => `/sdn/zones/localnetwork/${String(iface["iface"])}`;
  // who asks for a kind sees the bridges that it may use
  return interfaces.filter(
    (iface) =>
      kinds.includes(String(iface["type"])) &&
      (!/bridge$/i.test(String(iface["type"])) || call.holds(path(iface), ["SDN.Audit", "SDN.Use"], true)),
  );
}

function networkOne(call: Call): unknown {
  const found = call.world.node(call.node)?.network.find((iface) => iface["iface"] === call.need("iface"));
  if (found === undefined) return refuse({ iface: "interface does not exist" });
  const { iface: _name, ...rest } = found;
  return rest;
}

/** `localtime` is what the node's clocks show, as if that were UTC. */
function time(call: Call): unknown {
  const now = call.world.seconds();
  const timezone = call.world.node(call.node)?.timezone ?? "UTC";
  return { time: now, localtime: now + zoneOffset(timezone, now), timezone };
}

/** Seconds that a time zone is ahead of UTC at a time. */
function zoneOffset(timeZone: string, seconds: number): number {
  const format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  const name = format.formatToParts(seconds * 1000).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign = "+", hours = "0", minutes = "0"] = /GMT([+-])(\d\d):(\d\d)/.exec(name) ?? [];
  return (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
}

export const nodeCalls: Handlers = {
  "GET /version": () => version,
  "GET /nodes": list,
  "GET /nodes/{node}/status": status,
  "GET /nodes/{node}/version": () => version,
  "GET /nodes/{node}/network": network,
  "GET /nodes/{node}/network/{iface}": networkOne,
  "GET /nodes/{node}/time": time,
};
