import type { Call, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { hasFeature } from "../../storage/storages.js";
import { findVolume, locate } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { computeDigest, lockedText, typedConfig } from "../common/values.js";
import { drive, isCdrom, isCloudInit, isDriveKey, isUnusedKey } from "./drives.js";
import { startQemu } from "./power.js";
import { addUnused, isOwner } from "./unused.js";
import { checkSavable, dropState, saveState, stateStorage, STATE_KEYS } from "./vmstate.js";

const RESERVED = new Set(["current", "pending"]);

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
  if (withState) checkSavable(guest);
  const description = call.text("description");
  return call.task("qmsnapshot", vmid, function* (log) {
    yield world.guestLock("qemu", vmid);
    const locked = lockedText(guest);
    if (guest.config["template"] === "1") fail("you can't take a snapshot if it's a template");
    if (locked !== undefined) fail(locked);
    if (guest.snapshots[name] !== undefined) fail(`snapshot name '${name}' already used`);
    if (!canSnapshot(world, guest.config)) fail("snapshot feature is not available");
    yield* takeSnapshot(world, guest, { name, description, withState, log });
  });
}

interface Taking {
  readonly name: string;
  readonly description: string | undefined;
  readonly withState: boolean;
  readonly log: TaskLog;
}

/** The section is there from the beginning, marked as not complete; a failure takes it away again. */
function* takeSnapshot(world: World, guest: Guest, { name, description, withState, log }: Taking): Work {
  const text = description?.trimEnd();
  const section: Record<string, string> = {};
  for (const [key, value] of Object.entries(guest.config))
    if (!isUnusedKey(key) && key !== "description") section[key] = value;
  Object.assign(section, { snaptime: String(world.seconds()), snapstate: "prepare" });
  if (text !== undefined && text !== "") section["description"] = text;
  guest.snapshots[name] = section;
  guest.config["lock"] = "snapshot";
  world.guestChanged(guest);
  try {
    const duration = world.duration("qmsnapshot");
    const saving = { guest, storage: stateStorage(world, guest), name, into: section, duration, log };
    if (withState && guest.run !== undefined) yield* saveState(world, saving);
    else yield duration;
  } catch (error) {
    delete guest.snapshots[name];
    throw error;
  } finally {
    delete guest.config["lock"];
    world.guestChanged(guest);
  }
  for (const [key, volid] of disksOf(guest.config)) log.line(`snapshotting 'drive-${key}' (${volid})`);
  delete section["snapstate"];
  guest.config["parent"] = name;
  world.guestChanged(guest);
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
  const { description: _text, snaptime: _time, ...keys } = section(guest, name);
  const next: Record<string, string> = { ...keys, parent: name };
  for (const key of STATE_KEYS) delete next[key];
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
    snapshot["snapstate"] = "delete";
    world.guestChanged(guest);
    yield world.duration("qmdelsnapshot");
    delete guest.config["lock"];
    const { parent } = snapshot;
    for (const one of [guest.config, ...Object.values(guest.snapshots)])
      if (one["parent"] === name) {
        if (parent === undefined) delete one["parent"];
        else one["parent"] = parent;
      }
    delete guest.snapshots[name];
    dropState(world, guest, snapshot);
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
