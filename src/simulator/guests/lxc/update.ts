import type { Call, Handlers } from "../../call.js";
import { fail, faultText, refuse } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { freeVolume } from "../../storage/volumes.js";
import { CALL_SHAPES } from "../../table/table.js";
import type { TaskLog } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import {
  asLine,
  cleanPending,
  computeDigest,
  lockedText,
  pendingRows,
  shownConfig,
  typedConfig,
} from "../common/values.js";
import { cleanTags } from "../common/tags.js";
import { isMountKey, isUnused, mountKind, parseMount } from "./mounts.js";
import { completeLxcNet, isNet, parseLxcNet } from "./nets.js";
import { checkLxcKeys } from "./permissions.js";
import { checkLxcValues, lxcDescription, lxcLine } from "./values.js";
import { addUnusedVolume, checkContent, createMount, dropMountedUnused, ownsVolume } from "./volumes.js";

const KEYS = CALL_SHAPES.get("PUT /nodes/{node}/lxc/{vmid}/config")?.params ?? {};
const CONTROL = new Set("node vmid delete revert digest".split(" "));
const REQUIRED = new Set(["memory", "rootfs", "ostype"]);
const READ_ONLY = new Set(["unprivileged"]);
/** Keys that a running container takes at once; volumes and networks by their own rules. */
const LIVE = new Set(
  "description onboot startup protection hostname hookscript cores tags lock cpulimit cpuunits memory swap".split(" "),
);

const isOption = (key: string): boolean => KEYS[key] !== undefined && !CONTROL.has(key);
const silent: TaskLog = { upid: "", line: () => undefined, warn: () => undefined };

function update(call: Call): null {
  const remove = [...new Set(call.list("delete"))];
  const revert = call.list("revert");
  const set: Record<string, string> = {};
  for (const key of Object.keys(call.params)) if (!CONTROL.has(key)) set[key] = call.need(key);
  if (Object.keys(set).length + remove.length + revert.length === 0) fail("no options specified");
  for (const key of remove) {
    if (set[key] !== undefined) refuse({ delete: `you can't use '-${key}' and -delete ${key}' at the same time` });
    if (!isOption(key) && !isUnused(key)) refuse({ delete: `unknown option '${key}'` });
  }
  for (const key of revert) if (!isOption(key)) refuse({ revert: `unknown option '${key}'` });
  const guest = call.world.findGuest("lxc", call.node, call.vmid);
  const unprivileged = guest.config["unprivileged"] === "1";
  checkLxcKeys(call, { vmid: guest.vmid, unprivileged, before: guest.config }, set, remove);
  call.world.needLock("lxc", guest.vmid);
  const digest = call.text("digest");
  if (digest !== undefined && digest !== "" && digest !== call.world.digest(guest, computeDigest))
    fail("detected modified configuration - file changed by other user? Try again.");
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
  checkDeletions(guest, remove);
  checkValues(call, guest, set);
  for (const key of revert) {
    delete guest.pending[key];
    delete guest.pendingDelete[key];
  }
  apply(call, guest, set, remove);
  return null;
}

/** What must stay; a key that is not set is passed over. */
function checkDeletions(guest: Guest, remove: readonly string[]): void {
  for (const key of remove) {
    if (guest.config[key] === undefined) continue;
    if (REQUIRED.has(key)) fail(`unable to delete required option '${key}'`);
    if (READ_ONLY.has(key)) fail(`unable to delete read-only option: '${key}'`);
    if (isMountKey(key) || isUnused(key)) protectMount(guest, key);
  }
}

function protectMount(guest: Guest, key: string): void {
  if (guest.config["protection"] === "1")
    fail(`can't update CT ${guest.vmid} drive '${key}' - protection mode enabled`);
}

/** The tests of PVE's `update_pct_config`, in the order of the keys' names. */
function checkValues(call: Call, guest: Guest, set: Readonly<Record<string, string>>): void {
  for (const key of Object.keys(set).sort()) {
    if (READ_ONLY.has(key)) fail(`unable to modify read-only option: '${key}'`);
    if (isMountKey(key)) {
      protectMount(guest, key);
      checkContent(call.state, key, set[key] ?? "");
    }
  }
  checkLxcValues(call, set);
}

function apply(call: Call, guest: Guest, set: Readonly<Record<string, string>>, remove: readonly string[]): void {
  const before = structuredClone({ config: guest.config, pending: guest.pending, pendingDelete: guest.pendingDelete });
  for (const key of remove) if (guest.config[key] !== undefined) guest.pendingDelete[key] = false;
  for (const [key, value] of Object.entries(set)) {
    guest.pending[key] = prepare(call, key, value);
    delete guest.pendingDelete[key];
  }
  cleanPending(guest);
  const errors = guest.run === undefined ? settleLxc(call.world, guest) : applyLive(call.world, guest);
  const failed = Object.keys(errors).length > 0;
  // of a call that fails in part nothing is written
  if (failed) Object.assign(guest, before);
  dropMountedUnused(guest);
  call.world.guestChanged(guest);
  if (failed) refuse(errors);
}

function prepare(call: Call, key: string, value: string): string {
  if (isNet(key)) return completeLxcNet(call, value);
  if (key === "tags") return asLine(cleanTags(call, value));
  if (key === "description") return lxcDescription(value);
  return lxcLine(key, value);
}

/** A running container: what it can't take waits. */
function applyLive(world: World, guest: Guest): Record<string, string> {
  const errors: Record<string, string> = {};
  for (const key of Object.keys(guest.pendingDelete)) {
    if (!LIVE.has(key) && !isNet(key) && !isUnused(key)) continue;
    try {
      removeKey(world, guest, key);
    } catch (error) {
      errors[key] = `unable to hotplug ${key}: ${faultText(error)}\n`;
    }
  }
  for (const key of Object.keys(guest.pending)) {
    const newMount = /^(mp|dev)\d+$/.test(key) && guest.config[key] === undefined;
    if (!LIVE.has(key) && !isNet(key) && !isUnused(key) && !newMount) continue;
    try {
      if (isNet(key)) checkPlug(world, guest, key);
      commit(world, guest, key);
    } catch (error) {
      errors[key] = `unable to hotplug ${key}: ${faultText(error)}\n`;
    }
  }
  return errors;
}

/** The running container's network is plugged into its bridge at once. */
function checkPlug(world: World, guest: Guest, key: string): void {
  const bridge = parseLxcNet(guest.pending[key] ?? "")["bridge"];
  if (bridge !== undefined && !world.node(guest.node)?.network.some((iface) => iface["iface"] === bridge))
    fail(`bridge '${bridge}' does not exist`);
}

/**
 * A value comes into force. PVE makes and measures the volume of a mount point only now; the rootfs stays as it
 * was sent.
 */
function commit(world: World, guest: Guest, key: string): void {
  const value = guest.pending[key];
  if (value === undefined) return;
  const { node, vmid } = guest;
  const next = /^mp\d+$/.test(key) ? createMount({ world, node, vmid, log: silent }, key, value) : value;
  delete guest.pending[key];
  if (key === "description" && value === "") delete guest.config[key];
  else guest.config[key] = next;
}

function removeKey(world: World, guest: Guest, key: string): void {
  const value = guest.config[key];
  if (value === undefined) return;
  if (isUnused(key)) {
    if (ownsVolume(world, guest, value)) freeVolume(world, value, guest.node);
    delete guest.config[key];
  } else if (isMountKey(key)) {
    delete guest.config[key];
    detach(guest, key, value);
  } else delete guest.config[key];
  delete guest.pendingDelete[key];
}

function detach(guest: Guest, key: string, value: string): void {
  const volid = parseMount(key, value)["volume"] ?? "";
  if (mountKind(volid) === "volume") addUnusedVolume(guest, volid);
}

/** A stopped container takes everything that waits. @returns by key why something still does */
export function settleLxc(world: World, guest: Guest): Record<string, string> {
  const errors: Record<string, string> = {};
  const attempt = (key: string, action: () => void): void => {
    try {
      action();
    } catch (error) {
      errors[key] = `unable to apply pending change ${key} : ${faultText(error)}\n`;
    }
  };
  for (const key of Object.keys(guest.pendingDelete)) attempt(key, () => removeKey(world, guest, key));
  for (const [key, value] of Object.entries(guest.pending)) {
    const old = guest.config[key];
    attempt(key, () => {
      commit(world, guest, key);
      if (/^mp\d+$/.test(key) && old !== undefined && volumeOf(key, old) !== volumeOf(key, value))
        detach(guest, key, old);
    });
  }
  dropMountedUnused(guest);
  world.guestChanged(guest);
  return errors;
}

const volumeOf = (key: string, value: string): string | undefined => parseMount(key, value)["volume"];

function getConfig(call: Call): unknown {
  const snapshot = call.text("snapshot");
  if (snapshot !== undefined && call.flag("current"))
    refuse({
      current: "cannot use 'snapshot' parameter with 'current'",
      snapshot: "cannot use 'snapshot' parameter with 'current'",
    });
  const guest = call.world.findGuest("lxc", call.node, call.vmid);
  const digest = call.world.digest(guest, computeDigest);
  if (snapshot !== undefined)
    return {
      ...typedConfig("lxc", guest.snapshots[snapshot] ?? fail(`snapshot '${snapshot}' does not exist`)),
      digest,
    };
  return { ...typedConfig("lxc", shownConfig(guest, call.flag("current"))), digest };
}

export const lxcConfigCalls: Handlers = {
  "GET /nodes/{node}/lxc/{vmid}/config": getConfig,
  "PUT /nodes/{node}/lxc/{vmid}/config": update,
  "GET /nodes/{node}/lxc/{vmid}/pending": (call) => {
    const guest = call.world.findGuest("lxc", call.node, call.vmid);
    return pendingRows(guest, call.world.digest(guest, computeDigest));
  },
};
