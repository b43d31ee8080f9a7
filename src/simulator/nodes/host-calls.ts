import { createHash } from "node:crypto";
import type { Call, Handler, Handlers } from "../call.js";
import { fail, refuse } from "../fault.js";
import type { NodeState } from "../state/model.js";
import { changedInterface, checkGateway } from "./bridges.js";

const nodeOf = (call: Call): NodeState => call.world.node(call.node) ?? fail(`no such node '${call.node}'`);

const configDigest = (config: Readonly<Record<string, string>>): string =>
  createHash("sha1")
    .update(JSON.stringify(Object.entries(config).sort()))
    .digest("hex");

/** GET config: nothing at all while nothing is set. */
function getConfig(call: Call): unknown {
  const { config } = nodeOf(call);
  const property = call.text("property");
  if (property !== undefined) return config[property] === undefined ? {} : { [property]: config[property] };
  return Object.keys(config).length === 0 ? {} : { ...config, digest: configDigest(config) };
}

function putConfig(call: Call): null {
  const node = nodeOf(call);
  const digest = call.text("digest");
  if (digest !== undefined && digest !== configDigest(node.config))
    fail("detected modified configuration - file changed by other user? Try again.");
  for (const key of call.list("delete")) delete node.config[key];
  for (const key of Object.keys(call.params)) {
    if (["node", "delete", "digest"].includes(key)) continue;
    node.config[key] = key === "description" ? `${call.need(key).trimEnd()}\n` : call.need(key);
  }
  call.world.changed();
  return null;
}

function putDns(call: Call): null {
  const node = nodeOf(call);
  node.dns = { search: call.need("search") };
  for (const key of ["dns1", "dns2", "dns3"]) {
    const value = call.text(key);
    if (value !== undefined) node.dns[key] = value;
  }
  call.world.changed();
  return null;
}

function putTime(call: Call): null {
  const zone = call.need("timezone");
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
  } catch {
    refuse({ timezone: "No such timezone" });
  }
  nodeOf(call).timezone = zone;
  call.world.changed();
  return null;
}

const interfaceOf = (call: Call): Record<string, unknown> =>
  nodeOf(call).network.find((one) => one["iface"] === call.need("iface")) ??
  refuse({ iface: "interface does not exist" });

/** The network as it will be at the next reload; what is in force is kept for a revert. */
function planned(call: Call): Record<string, unknown>[] {
  const node = nodeOf(call);
  node.networkInForce ??= structuredClone(node.network);
  return node.network;
}

function createInterface(call: Call): null {
  const iface = call.need("iface");
  const { network } = nodeOf(call);
  if (network.some((one) => one["iface"] === iface)) refuse({ iface: "interface already exists" });
  checkGateway(call, network);
  const priority = Math.max(...network.map((one) => Number(one["priority"] ?? 0)), 2) + 2;
  planned(call).push(changedInterface(call, { iface, priority }));
  call.world.changed();
  return null;
}

function updateInterface(call: Call): null {
  const found = interfaceOf(call);
  checkGateway(
    call,
    nodeOf(call).network.filter((one) => one !== found),
  );
  const network = planned(call);
  network[network.indexOf(found)] = changedInterface(call, found);
  call.world.changed();
  return null;
}

function removeInterface(call: Call): null {
  const found = interfaceOf(call);
  const network = planned(call);
  network.splice(network.indexOf(found), 1);
  call.world.changed();
  return null;
}

/** PUT network: the plan comes into force; new interfaces are up then. */
function reloadNetwork(call: Call): string {
  const node = nodeOf(call);
  return call.task("srvreload", "networking", function* () {
    yield call.world.duration("srvreload");
    delete node.networkInForce;
    for (const one of node.network) if (one["autostart"] === 1) one["active"] = 1;
    call.world.changed();
  });
}

function revertNetwork(call: Call): null {
  const node = nodeOf(call);
  if (node.networkInForce !== undefined) node.network = node.networkInForce;
  delete node.networkInForce;
  call.world.changed();
  return null;
}

/** Statistics of the past are made up: the recorded keys with zeros, one row a minute. */
function statistics(keys: readonly string[]): Handler {
  return (call) => {
    const now = call.world.seconds();
    if (call.text("timeframe") === "decade") return [{ time: now - (now % 604_800) }];
    const zero = Object.fromEntries(keys.map((key) => [key, 0]));
    return Array.from({ length: 60 }, (_, i) => ({ time: now - (now % 60) - (60 - i) * 60, ...zero }));
  };
}

const NODE_STATISTICS =
  "arcsize cpu iowait loadavg maxcpu memavailable memtotal memused netin netout pressurecpusome pressureiofull pressureiosome pressurememoryfull pressurememorysome roottotal rootused swaptotal swapused".split(
    " ",
  );
const GUEST_STATISTICS = "cpu maxcpu mem maxmem disk maxdisk netin netout diskread diskwrite".split(" ");

export const hostCalls: Handlers = {
  "GET /nodes/{node}/config": getConfig,
  "PUT /nodes/{node}/config": putConfig,
  "GET /nodes/{node}/dns": (call) => nodeOf(call).dns,
  "PUT /nodes/{node}/dns": putDns,
  "PUT /nodes/{node}/time": putTime,
  "POST /nodes/{node}/network": createInterface,
  "PUT /nodes/{node}/network": reloadNetwork,
  "DELETE /nodes/{node}/network": revertNetwork,
  "PUT /nodes/{node}/network/{iface}": updateInterface,
  "DELETE /nodes/{node}/network/{iface}": removeInterface,
  "GET /nodes/{node}/rrddata": statistics(NODE_STATISTICS),
  "GET /nodes/{node}/qemu/{vmid}/rrddata": statistics(GUEST_STATISTICS),
  "GET /nodes/{node}/lxc/{vmid}/rrddata": statistics(GUEST_STATISTICS),
  "GET /nodes/{node}/storage/{storage}/rrddata": statistics(["total", "used"]),
  "GET /nodes/{node}/syslog": (call) => {
    call.extras.total = 1;
    return [{ n: 1, t: "the simulator keeps no system log" }];
  },
  "GET /nodes/{node}/journal": () => [],
  "GET /nodes/{node}/capabilities/qemu/cpu": () => [
    { name: "host", vendor: "default", custom: 0 },
    { name: "x86-64-v2-AES", vendor: "default", custom: 0 },
  ],
  "GET /nodes/{node}/capabilities/qemu/machines": () =>
    ["i440fx", "q35"].map((type) => ({ id: `pc-${type}-10.0`, type, version: "10.0", changes: "" })),
  "POST /nodes/{node}/aplinfo": () => refuse({ template: "no such template" }),
  "POST /nodes/{node}/status": (call) => {
    const node = nodeOf(call);
    node.bootedAt = call.world.seconds();
    call.world.changed();
    return null;
  },
  "GET /nodes/{node}/query-url-metadata": () => ({
    filename: "file.iso",
    mimetype: "application/octet-stream",
    size: 0,
  }),
};
