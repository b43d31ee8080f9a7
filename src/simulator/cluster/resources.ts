import type { Call, Handlers } from "../call.js";
import { fail, refuse } from "../fault.js";
import { load, hostRead, hostWritten } from "../guests/common/figures.js";
import { isQuorate } from "./quorum.js";
import { haState } from "../guests/common/ha.js";
import { memoryBytes, shownCpus, guestName } from "../guests/qemu/status.js";
import { bootDiskSize } from "../guests/qemu/drives.js";
import { lxcCpus, lxcDiskSize, lxcDiskUsed, lxcMemory, lxcName } from "../guests/lxc/status.js";
import { poolOfGuest } from "../pools/members.js";
import type { Guest, NodeState, StorageState } from "../state/model.js";
import { isOnNode, isShared } from "../storage/storages.js";
import { storageFigures } from "../storage/figures.js";
import { nodeFigures } from "../nodes/figures.js";
import type { World } from "../world.js";

/** PVE's `extract_vm_stats`: a guest as `/cluster/resources` and pools show it. */
export function guestResource(
  world: World,
  guest: Guest,
  showPool: (pool: string) => boolean,
): Record<string, unknown> {
  const { config, kind } = guest;
  const node = world.node(guest.node);
  const row: Record<string, unknown> = { id: `${kind}/${guest.vmid}`, type: kind, vmid: guest.vmid, node: guest.node };
  const pool = poolOfGuest(world.state, guest.vmid);
  const hastate = haState(world.state, guest);
  if (pool !== undefined && showPool(pool)) row["pool"] = pool;
  if (config["tags"] !== undefined) row["tags"] = config["tags"];
  if (config["lock"] !== undefined) row["lock"] = config["lock"];
  if (hastate !== undefined) row["hastate"] = hastate;
  if (node?.online !== true) {
    row["status"] = "unknown";
    return row;
  }
  const figures = load(world, guest);
  const qemu = kind === "qemu";
  return Object.assign(row, {
    name: qemu ? guestName(guest) : lxcName(guest),
    status: guest.run === undefined ? "stopped" : "running",
    template: config["template"] === "1" ? 1 : 0,
    uptime: guest.run === undefined ? 0 : world.age(guest.run.startedAt),
    cpu: figures.cpu,
    maxcpu: qemu ? shownCpus(world, guest) : lxcCpus(world, guest),
    mem: figures.mem,
    maxmem: qemu ? memoryBytes(config) : lxcMemory(guest),
    memhost: qemu ? figures.mem : 0,
    disk: qemu ? 0 : lxcDiskUsed(world, guest),
    maxdisk: world.derived(guest, "maxdisk", () => (qemu ? bootDiskSize(config) : lxcDiskSize(guest))),
    netin: figures.netin,
    netout: figures.netout,
    diskread: hostRead(world, guest),
    diskwrite: hostWritten(world, guest),
  });
}

export function storageResource(world: World, storage: StorageState, node: NodeState): Record<string, unknown> {
  const name = storage.storage;
  const figures = storageFigures(world, storage, node.name);
  const fresh = node.online && storage.config["disable"] !== "1";
  return {
    id: `storage/${node.name}/${name}`,
    type: "storage",
    storage: name,
    node: node.name,
    status: fresh ? "available" : "unknown",
    shared: isShared(storage) ? 1 : 0,
    plugintype: storage.type,
    content: storage.config["content"] ?? "images,rootdir",
    ...(fresh && { disk: figures.used, maxdisk: figures.total }),
  };
}

function nodeResource(call: Call, node: NodeState): Record<string, unknown> {
  const base = {
    id: `node/${node.name}`,
    type: "node",
    node: node.name,
    status: node.online ? "online" : "offline",
    level: "",
  };
  if (!node.online) return { id: base.id, type: base.type, node: node.name, status: "offline" };
  if (!call.holds(`/nodes/${node.name}`, ["Sys.Audit"])) return { ...base, "cgroup-mode": 2 };
  return { ...base, "cgroup-mode": 2, ...nodeFigures(call.world, node) };
}

function poolResource(world: World, name: string): Record<string, unknown> {
  const { state } = world;
  const sums: Record<string, number> = {};
  for (const vmid of state.pools[name]?.vms ?? []) {
    const guest = world.guest(vmid);
    if (guest?.run === undefined) continue;
    const row = guestResource(world, guest, () => false);
    for (const key of ["maxmem", "mem", "maxcpu", "cpu", "uptime"])
      sums[key] = key === "uptime" ? Math.max(sums[key] ?? 0, Number(row[key])) : (sums[key] ?? 0) + Number(row[key]);
  }
  return { id: `/pool/${name}`, type: "pool", pool: name, ...sums };
}

const zone = (node: string): Record<string, unknown> => ({
  id: `network/${node}/zone/localnetwork`,
  type: "network",
  network: "localnetwork",
  "network-type": "zone",
  node,
  status: "ok",
});

function resources(call: Call): unknown {
  const { world, state } = call;
  const type = call.text("type");
  const rows: Record<string, unknown>[] = [];
  const nodes = Object.values(state.nodes);
  if (type === undefined)
    for (const name of Object.keys(state.pools))
      if (call.holds(`/pool/${name}`, ["Pool.Audit"])) rows.push(poolResource(world, name));
  if (type === undefined || type === "vm")
    for (const guest of Object.values(state.guests))
      if (call.holds(`/vms/${guest.vmid}`, ["VM.Audit"]))
        rows.push(guestResource(world, guest, (pool) => call.holds(`/pool/${pool}`, ["Pool.Audit"])));
  if (type === undefined || type === "node") rows.push(...nodes.map((node) => nodeResource(call, node)));
  if (type === undefined || type === "storage") rows.push(...storageRows(call, nodes));
  if (type === undefined)
    for (const node of nodes) if (call.holds("/sdn/zones/localnetwork", ["SDN.Audit"])) rows.push(zone(node.name));
  return rows;
}

function storageRows(call: Call, nodes: readonly NodeState[]): Record<string, unknown>[] {
  const rows: Record<string, unknown>[] = [];
  for (const storage of Object.values(call.state.storages)) {
    if (storage.config["disable"] === "1" || !call.holds(`/storage/${storage.storage}`, ["Datastore.Audit"])) continue;
    for (const node of nodes) if (isOnNode(storage, node.name)) rows.push(storageResource(call.world, storage, node));
  }
  return rows;
}

/** Lowest free id of the datacenter's range. */
function nextId(call: Call): string {
  const { state } = call;
  const wanted = call.text("vmid");
  if (wanted !== undefined) {
    if (state.guests[wanted] !== undefined) refuse({ vmid: `VM ${wanted} already exists` });
    return wanted;
  }
  const range = state.cluster.options["next-id"] ?? "";
  const lower = Number(/lower=(\d+)/.exec(range)?.[1] ?? 100);
  const upper = Number(/upper=(\d+)/.exec(range)?.[1] ?? 1_000_000);
  for (let id = lower; id < upper; id++) if (state.guests[String(id)] === undefined) return String(id);
  return fail(`unable to get any free VMID in range [${lower}, ${upper}]`);
}

function status(call: Call): unknown {
  const nodes = Object.values(call.state.nodes);
  const local = nodes[0]?.name;
  const { name } = call.state.cluster;
  const rows: Record<string, unknown>[] = nodes.map((node) => ({
    type: "node",
    id: `node/${node.name}`,
    name: node.name,
    nodeid: name === undefined ? 0 : node.id,
    ip: node.ip,
    local: node.name === local ? 1 : 0,
    online: node.online ? 1 : 0,
    level: "",
  }));
  if (name !== undefined)
    rows.unshift({
      type: "cluster",
      id: "cluster",
      name,
      version: nodes.length,
      nodes: nodes.length,
      quorate: isQuorate(call.state) ? 1 : 0,
    });
  return rows;
}

export const resourceCalls: Handlers = {
  "GET /cluster/resources": resources,
  "GET /cluster/nextid": nextId,
  "GET /cluster/status": status,
};
