import type { Call, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { hasFeature } from "../../storage/storages.js";
import { allocate, findVolume, freeVolume, locate } from "../../storage/volumes.js";
import type { World } from "../../world.js";
import { computeDigest, lockedText, typedConfig } from "../common/values.js";
import { drive, isCdrom, isCloudInit, isDriveKey, isUnusedKey } from "./drives.js";
import { startQemu } from "./power.js";
import { addUnused, isOwner } from "./unused.js";

const RESERVED = new Set(["current", "pending"]);
const MIB = 2 ** 20;

const disksOf = (config: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(config).flatMap(([key, value]): [string, string][] => {
    if (!isDriveKey(key)) return [];
    const parts = drive(key, value);
    return isCdrom(parts) && !isCloudInit(parts) ? [] : [[key, parts["file"] ?? ""]];
  });

/** Whether every disk of the config can be snapshotted. */
export function canSnapshot(world: World, config: Readonly<Record<string, string>>): boolean {
  return disksOf(config).every(([key, volid]) => {
    if (isCloudInit(drive(key, config[key] ?? ""))) return true;
    const { storage, parsed } = locate(world.state, volid);
    return hasFeature(storage, "snapshot", parsed);
  });
}

function list(call: Call): unknown {
  const guest = call.world.findGuest("qemu", call.node, call.vmid);
  const rows: Record<string, unknown>[] = Object.entries(guest.snapshots).map(([name, section]) => ({
    name,
    description: section["description"] ?? "",
    vmstate: section["vmstate"] === undefined ? 0 : 1,
    snaptime: Number(section["snaptime"] ?? 0),
    ...(section["parent"] !== undefined && { parent: section["parent"] }),
    ...(section["snapstate"] !== undefined && { snapstate: section["snapstate"] }),
  }));
  const { parent } = guest.config;
  rows.push({
    name: "current",
    description: "You are here!",
    running: guest.run === undefined ? 0 : 1,
    digest: call.world.digest(guest, computeDigest),
    ...(parent !== undefined && { parent }),
  });
  return rows;
}

function create(call: Call): string {
  const { world, vmid, node } = call;
  const name = call.need("snapname");
  if (RESERVED.has(name)) fail(`unable to use snapshot name '${name}' (reserved name)`);
  const guest = world.findGuest("qemu", node, vmid);
  const withState = call.flag("vmstate");
  const description = call.text("description");
  return call.task("qmsnapshot", vmid, function* (log) {
    yield world.guestLock("qemu", vmid);
    const locked = lockedText(guest);
    if (guest.config["template"] === "1") fail("you can't take a snapshot if it's a template");
    if (locked !== undefined) fail(locked);
    if (guest.snapshots[name] !== undefined) fail(`snapshot name '${name}' already used`);
    if (!canSnapshot(world, guest.config)) fail("snapshot feature is not available");
    guest.config["lock"] = "snapshot";
    world.guestChanged(guest);
    yield world.duration("qmsnapshot");
    delete guest.config["lock"];
    const section: Record<string, string> = {};
    for (const [key, value] of Object.entries(guest.config))
      if (!isUnusedKey(key) && key !== "description") section[key] = value;
    section["snaptime"] = String(world.seconds());
    if (description !== undefined && description.trimEnd() !== "") section["description"] = description.trimEnd();
    if (withState && guest.run !== undefined) section["vmstate"] = saveState(world, guest, name);
    for (const [key, volid] of disksOf(guest.config)) log.line(`snapshotting 'drive-${key}' (${volid})`);
    guest.snapshots[name] = section;
    guest.config["parent"] = name;
    world.guestChanged(guest);
  });
}

/** A volume for the machine's memory: twice its size and 500 MiB. */
function saveState(world: World, guest: Guest, name: string): string {
  const storage = guest.config["vmstatestorage"] ?? disksOf(guest.config)[0]?.[1].split(":")[0] ?? "local";
  const memory = Number(/(\d+)/.exec(guest.config["memory"] ?? "512")?.[1] ?? 512);
  const file = world.state.storages[storage]?.config["path"] !== undefined;
  const volume = allocate(world, {
    storage,
    node: guest.node,
    vmid: guest.vmid,
    format: "raw",
    size: (2 * memory + 500) * MIB,
    name: `vm-${guest.vmid}-state-${name}${file ? ".raw" : ""}`,
  });
  return volume.volid;
}

const section = (guest: Guest, name: string): Record<string, string> =>
  guest.snapshots[name] ?? fail(`snapshot '${name}' does not exist`);

function rollback(call: Call): string {
  const { world, vmid, node } = call;
  const name = call.need("snapname");
  const guest = world.findGuest("qemu", node, vmid);
  const start = call.flag("start");
  if (start) call.require(`/vms/${vmid}`, ["VM.PowerMgmt"]);
  return call.task("qmrollback", vmid, function* () {
    yield world.guestLock("qemu", vmid);
    if (guest.config["template"] === "1") fail("you can't rollback if vm is a template");
    const snapshot = section(guest, name);
    const locked = lockedText(guest);
    if (locked !== undefined) fail(locked);
    if (snapshot["snapstate"] !== undefined)
      fail(`unable to rollback to incomplete snapshot (snapstate = ${snapshot["snapstate"]})`);
    if (guest.run !== undefined) guest.run = undefined;
    guest.config["lock"] = "rollback";
    world.guestChanged(guest);
    yield world.duration("qmrollback");
    restoreSection(world, guest, name);
    if (start || snapshot["vmstate"] !== undefined) startQemu(world, guest);
  });
}

function restoreSection(world: World, guest: Guest, name: string): void {
  const before = guest.config;
  const { description: _text, snaptime: _time, vmstate: _state, parent: _parent, ...keys } = section(guest, name);
  const next: Record<string, string> = { ...keys, parent: name };
  if (before["description"] !== undefined) next["description"] = before["description"];
  for (const [key, value] of Object.entries(before)) if (isUnusedKey(key)) next[key] = value;
  guest.config = next;
  const kept = new Set(disksOf(next).map(([, volid]) => volid));
  for (const [, volid] of disksOf(before))
    if (!kept.has(volid) && isOwner(world, guest, volid)) addUnused(guest, volid);
  for (const [key, value] of Object.entries(next)) if (isUnusedKey(key) && kept.has(value)) delete next[key];
  if (next["vmgenid"] !== undefined && next["vmgenid"] !== "0") next["vmgenid"] = world.random.uuid();
  guest.pending = {};
  guest.pendingDelete = {};
  world.guestChanged(guest);
}

function remove(call: Call): string {
  const { world, vmid, node } = call;
  const name = call.need("snapname");
  const guest = world.findGuest("qemu", node, vmid);
  return call.task("qmdelsnapshot", vmid, function* () {
    yield world.guestLock("qemu", vmid);
    const snapshot = section(guest, name);
    const locked = lockedText(guest);
    if (locked !== undefined) fail(locked);
    guest.config["lock"] = "snapshot-delete";
    world.guestChanged(guest);
    yield world.duration("qmdelsnapshot");
    delete guest.config["lock"];
    const { parent, vmstate } = snapshot;
    for (const one of [guest.config, ...Object.values(guest.snapshots)])
      if (one["parent"] === name) {
        if (parent === undefined) delete one["parent"];
        else one["parent"] = parent;
      }
    delete guest.snapshots[name];
    if (vmstate !== undefined && findVolume(world.state, vmstate, guest.node) !== undefined)
      freeVolume(world, vmstate, guest.node);
    world.guestChanged(guest);
  });
}

function readSection(call: Call): unknown {
  const guest = call.world.findGuest("qemu", call.node, call.vmid);
  return typedConfig("qemu", section(guest, call.need("snapname")));
}

function describe(call: Call): null {
  const guest = call.world.findGuest("qemu", call.node, call.vmid);
  call.world.needLock("qemu", guest.vmid);
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
  const snapshot = section(guest, call.need("snapname"));
  const description = call.text("description");
  if (description !== undefined) snapshot["description"] = description.trimEnd();
  call.world.guestChanged(guest);
  return null;
}

function feature(call: Call): unknown {
  const { world } = call;
  const guest = world.findGuest("qemu", call.node, call.vmid);
  const name = call.text("snapname");
  const config = name === undefined ? guest.config : section(guest, name);
  const wanted = call.need("feature");
  const has = disksOf(config).every(([key, volid]) => {
    if (isCloudInit(drive(key, config[key] ?? ""))) return true;
    const { storage, parsed } = locate(world.state, volid);
    if (wanted === "clone" && name !== undefined) return ["lvmthin", "rbd"].includes(storage.type);
    return hasFeature(storage, wanted === "clone" ? "clone" : wanted === "snapshot" ? "snapshot" : "copy", parsed);
  });
  const nodes = Object.keys(call.state.nodes).filter((node) =>
    disksOf(config).every(
      ([, volid]) =>
        node === guest.node ||
        (findVolume(call.state, volid, node)?.node === undefined && findVolume(call.state, volid, node) !== undefined),
    ),
  );
  return { hasFeature: has ? 1 : 0, nodes };
}

/** A template: disks become base volumes, the VM can't start any more. */
export const snapshotCalls: Handlers = {
  "GET /nodes/{node}/qemu/{vmid}/snapshot": list,
  "POST /nodes/{node}/qemu/{vmid}/snapshot": create,
  "GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}": () => [{ cmd: "rollback" }, { cmd: "config" }],
  "DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}": remove,
  "GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config": readSection,
  "PUT /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config": describe,
  "POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback": rollback,
  "GET /nodes/{node}/qemu/{vmid}/feature": feature,
};
