import type { Call, Handlers } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { hasFeature, type Feature } from "../../storage/storages.js";
import { locate } from "../../storage/volumes.js";
import type { World } from "../../world.js";
import { computeDigest, lockedText, typedConfig } from "../common/values.js";
import { isMountKey, isUnused, mountKind, mountsOf } from "./mounts.js";
import { haltLxc, startLxc } from "./power.js";
import { lxcDescription } from "./values.js";
import { addUnusedVolume, ownsVolume } from "./volumes.js";

const RESERVED = new Set(["current", "vzdump"]);

const find = (call: Call): Guest => call.world.findGuest("lxc", call.node, call.vmid);

function list(call: Call): unknown {
  const guest = find(call);
  const rows: Record<string, unknown>[] = Object.entries(guest.snapshots).map(([name, section]) => ({
    name,
    description: section["description"] ?? "",
    snaptime: Number(section["snaptime"] ?? 0),
    ...(section["parent"] !== undefined && { parent: section["parent"] }),
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

/** Whether all mounts are volumes whose storage can do it. */
function can(world: World, config: Readonly<Record<string, string>>, wanted: Feature): boolean {
  return mountsOf(config).every(([, mount]) => {
    const volid = mount["volume"] ?? "";
    if (mountKind(volid) !== "volume") return false;
    const { storage, parsed } = locate(world.state, volid);
    const fileClone = wanted === "clone" && storage.config["path"] !== undefined;
    return !fileClone && hasFeature(storage, wanted, parsed);
  });
}

function checkLocked(guest: Guest): void {
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
}

const section = (guest: Guest, name: string): Record<string, string> =>
  guest.snapshots[name] ?? fail(`snapshot '${name}' does not exist`);

function create(call: Call): string {
  const { world, vmid } = call;
  const name = call.need("snapname");
  if (RESERVED.has(name)) fail(`unable to use snapshot name '${name}' (reserved name)`);
  const guest = find(call);
  const description = call.text("description");
  return call.task("vzsnapshot", vmid, function* () {
    yield world.guestLock("lxc", vmid);
    if (guest.config["template"] === "1") fail("you can't take a snapshot if it's a template");
    checkLocked(guest);
    if (guest.snapshots[name] !== undefined) fail(`snapshot name '${name}' already used`);
    if (!can(world, guest.config, "snapshot")) fail("snapshot feature is not available");
    guest.config["lock"] = "snapshot";
    world.guestChanged(guest);
    yield world.duration("vzsnapshot");
    delete guest.config["lock"];
    const made: Record<string, string> = { snaptime: String(world.seconds()) };
    for (const [key, value] of Object.entries(guest.config))
      if (!isUnused(key) && key !== "description") made[key] = value;
    if (description !== undefined && description !== "") made["description"] = lxcDescription(description);
    guest.snapshots[name] = made;
    guest.config["parent"] = name;
    world.guestChanged(guest);
  });
}

function rollback(call: Call): string {
  const { world, vmid } = call;
  const name = call.need("snapname");
  const guest = find(call);
  const start = call.flag("start");
  if (start) call.require(`/vms/${vmid}`, ["VM.PowerMgmt"]);
  return call.task("vzrollback", vmid, function* () {
    yield world.guestLock("lxc", vmid);
    if (guest.config["template"] === "1") fail("you can't rollback if CT is a template");
    section(guest, name);
    checkLocked(guest);
    if (guest.run !== undefined) haltLxc(world, guest);
    yield world.duration("vzrollback");
    restore(world, guest, name);
    if (start) startLxc(world, guest);
  });
}

function restore(world: World, guest: Guest, name: string): void {
  const before = guest.config;
  const { description: _text, snaptime: _time, parent: _parent, ...keys } = section(guest, name);
  const next: Record<string, string> = { ...keys, parent: name };
  if (before["description"] !== undefined) next["description"] = before["description"];
  for (const [key, value] of Object.entries(before)) if (isUnused(key)) next[key] = value;
  guest.config = next;
  guest.pending = {};
  guest.pendingDelete = {};
  const kept = new Set(mountsOf(next).map(([, mount]) => mount["volume"]));
  for (const [key, mount] of mountsOf(before)) {
    const volid = mount["volume"] ?? "";
    if (isMountKey(key) && !kept.has(volid) && ownsVolume(world, guest, volid)) addUnusedVolume(guest, volid);
  }
  world.guestChanged(guest);
}

function remove(call: Call): string {
  const { world, vmid } = call;
  const name = call.need("snapname");
  const guest = find(call);
  return call.task("vzdelsnapshot", vmid, function* () {
    yield world.guestLock("lxc", vmid);
    const { parent } = section(guest, name);
    checkLocked(guest);
    yield world.duration("vzdelsnapshot");
    for (const one of [guest.config, ...Object.values(guest.snapshots)])
      if (one["parent"] === name) {
        if (parent === undefined) delete one["parent"];
        else one["parent"] = parent;
      }
    delete guest.snapshots[name];
    world.guestChanged(guest);
  });
}

function describe(call: Call): null {
  const guest = find(call);
  checkLocked(guest);
  const snapshot = section(guest, call.need("snapname"));
  const description = call.text("description");
  if (description !== undefined) snapshot["description"] = lxcDescription(description);
  call.world.guestChanged(guest);
  return null;
}

export const lxcSnapshotCalls: Handlers = {
  "GET /nodes/{node}/lxc/{vmid}/snapshot": list,
  "POST /nodes/{node}/lxc/{vmid}/snapshot": create,
  "GET /nodes/{node}/lxc/{vmid}/snapshot/{snapname}": () => [{ cmd: "rollback" }, { cmd: "config" }],
  "DELETE /nodes/{node}/lxc/{vmid}/snapshot/{snapname}": remove,
  "GET /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config": (call) =>
    typedConfig("lxc", section(find(call), call.need("snapname"))),
  "PUT /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config": describe,
  "POST /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback": rollback,
  "GET /nodes/{node}/lxc/{vmid}/feature": (call) => {
    const wanted = call.need("feature") as Feature;
    return { hasFeature: can(call.world, find(call).config, wanted) ? 1 : 0 };
  },
};
