import type { Call, Handlers } from "../call.js";
import { guestResource, storageResource } from "../cluster/resources.js";
import { within } from "../access/users.js";
import { fail } from "../fault.js";
import type { Pool } from "../state/model.js";

const poolOf = (call: Call): Pool => {
  const name = call.need("poolid");
  return call.state.pools[name] ?? fail(`pool '${name}' does not exist`);
};

function members(call: Call, pool: Pool): Record<string, unknown>[] {
  const type = call.text("type");
  const rows: Record<string, unknown>[] = [];
  for (const vmid of [...pool.vms].sort((a, b) => a - b)) {
    const guest = call.world.guest(vmid);
    if (guest === undefined || (type !== undefined && type !== guest.kind)) continue;
    const { tags: _tags, lock: _lock, ...row } = guestResource(call.world, guest, () => false);
    rows.push(row);
  }
  const node = call.world.node(call.node);
  if (node === undefined || (type !== undefined && type !== "storage")) return rows;
  for (const name of [...pool.storages].sort()) {
    const storage = call.state.storages[name];
    if (storage !== undefined) rows.push(storageResource(call.world, storage, node));
  }
  return rows;
}

const shown = (call: Call, name: string, pool: Pool): Record<string, unknown> => ({
  poolid: name,
  ...(pool.comment !== undefined && { comment: pool.comment }),
  members: members(call, pool),
});

/** GET /pools: the names, or with `poolid` that one with its members. */
function list(call: Call): unknown {
  const only = call.text("poolid");
  if (only !== undefined) {
    call.require(`/pool/${only}`, ["Pool.Audit"]);
    return [shown(call, only, poolOf(call))];
  }
  return Object.entries(call.state.pools)
    .filter(([name]) => call.holds(`/pool/${name}`, ["Pool.Audit"]))
    .map(([poolid, pool]) => ({ poolid, ...(pool.comment !== undefined && { comment: pool.comment }) }));
}

function create(call: Call): null {
  const name = call.need("poolid");
  within("create pool failed", () => {
    if (call.state.pools[name] !== undefined) fail(`pool '${name}' already exists`);
    const parent = name.includes("/") ? name.replace(/\/[^/]*$/, "") : undefined;
    if (parent !== undefined && call.state.pools[parent] === undefined)
      fail(`parent '${parent}' of pool '${name}' does not exist`);
  });
  const comment = call.text("comment");
  call.state.pools[name] = { vms: [], storages: [], ...(comment !== undefined && comment !== "" && { comment }) };
  call.world.changed();
  return null;
}

function update(call: Call): null {
  within("update pools failed", () => {
    const name = call.need("poolid");
    const pool = poolOf(call);
    const next: Pool = { ...pool, vms: [...pool.vms], storages: [...pool.storages] };
    const comment = call.text("comment");
    if (comment !== undefined) next.comment = comment === "" ? undefined : comment;
    const moved = changeGuests(call, name, next);
    changeStorages(call, next);
    for (const [other, vmid] of moved) {
      const from = call.state.pools[other];
      if (from !== undefined) from.vms = from.vms.filter((id) => id !== vmid);
    }
    call.state.pools[name] = next;
    call.world.changed();
  });
  return null;
}

/** @returns the guests that leave another pool, which `allow-move` must allow */
function changeGuests(call: Call, name: string, pool: Pool): [string, number][] {
  const moved: [string, number][] = [];
  for (const text of call.list("vms")) {
    const vmid = Number(text);
    call.require(`/vms/${vmid}`, ["VM.Allocate", "Permissions.Modify"], true);
    const member = pool.vms.includes(vmid);
    if (call.flag("delete")) {
      if (!member) fail(`VM ${vmid} is not a pool member`);
      pool.vms = pool.vms.filter((id) => id !== vmid);
      continue;
    }
    if (member) fail(`VM ${vmid} is already a pool member`);
    const other = Object.entries(call.state.pools).find(([id, one]) => id !== name && one.vms.includes(vmid))?.[0];
    if (other !== undefined) {
      if (!call.flag("allow-move")) fail(`VM ${vmid} belongs already to pool '${other}' and 'allow-move' is not set`);
      call.require(`/pool/${other}`, ["Pool.Allocate"]);
      moved.push([other, vmid]);
    }
    pool.vms.push(vmid);
  }
  return moved;
}

function changeStorages(call: Call, pool: Pool): void {
  for (const storage of call.list("storage")) {
    call.require(`/storage/${storage}`, ["Datastore.Allocate", "Permissions.Modify"], true);
    const member = pool.storages.includes(storage);
    if (call.flag("delete")) {
      if (!member) fail(`Storage '${storage}' is not a pool member`);
      pool.storages = pool.storages.filter((name) => name !== storage);
    } else {
      if (member) fail(`Storage '${storage}' is already a pool member`);
      pool.storages.push(storage);
    }
  }
}

/** The first thing that keeps a pool from being deleted. */
function contents(call: Call, name: string, pool: Pool): string | undefined {
  const inner = Object.keys(call.state.pools).find((id) => id.startsWith(`${name}/`));
  if (inner !== undefined) return `pool '${inner}'`;
  const [vmid] = pool.vms;
  if (vmid !== undefined) return `VM ${vmid}`;
  const [storage] = pool.storages;
  return storage === undefined ? undefined : `storage '${storage}'`;
}

function remove(call: Call): null {
  within("delete pool failed", () => {
    const name = call.need("poolid");
    const pool = poolOf(call);
    const holds = contents(call, name, pool);
    if (holds !== undefined) fail(`pool '${name}' is not empty (contains ${holds})`);
    delete call.state.pools[name];
    call.state.access.acl = call.state.access.acl.filter((entry) => entry.path !== `/pool/${name}`);
    call.world.changed();
  });
  return null;
}

export const poolCalls: Handlers = {
  "GET /pools": list,
  "POST /pools": create,
  "PUT /pools": update,
  "DELETE /pools": remove,
  "GET /pools/{poolid}": (call) => shown(call, call.need("poolid"), poolOf(call)),
  "PUT /pools/{poolid}": update,
  "DELETE /pools/{poolid}": remove,
};
