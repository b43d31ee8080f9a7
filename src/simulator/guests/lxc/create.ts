import type { Call, Handlers } from "../../call.js";
import { deny, fail, faultText } from "../../fault.js";
import { addToPool, requirePool } from "../../pools/members.js";
import type { Guest, Volume } from "../../state/model.js";
import { checkVolumeAccess } from "../../storage/access.js";
import { enabledStorage } from "../../storage/storages.js";
import { findVolume, freeVolume, locate, pathOf } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import { asLine, lockedText } from "../common/values.js";
import { kindWord } from "../common/names.js";
import { cleanTags } from "../common/tags.js";
import { isMountKey, isUnused } from "./mounts.js";
import { completeLxcNet, isNet } from "./nets.js";
import { checkLxcKeys } from "./permissions.js";
import { startLxc } from "./power.js";
import { checkLxcValues, lxcDescription, lxcLine } from "./values.js";
import { dropVolumes, savedConfig } from "./restore.js";
import { checkMountStorages, containerStorage, createMount } from "./volumes.js";

const CONTROL = new Set(
  "node vmid ostemplate restore force unique pool storage start bwlimit password ssh-public-keys ignore-unpack-errors ha-managed".split(
    " ",
  ),
);
const SSH_KEY = /^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/=]+( .*)?$/;
const DEFAULT_GIB = 4;

/** POST /nodes/N/lxc: the checks in PVE's order; a taken id is refused before anybody's rights are looked at. */
function create(call: Call): string {
  const { world, vmid } = call;
  const restore = call.flag("restore");
  const overwrite = checkId(call, restore && call.flag("force"));
  checkSshKeys(call.text("ssh-public-keys"));
  const pool = call.text("pool");
  if (pool !== undefined) requirePool(call.state, pool);
  checkAllowed(call, pool, overwrite);
  const unprivileged = call.flag("unprivileged", true);
  if (!unprivileged && !restore) call.require("/", ["Sys.Modify"]);
  const manage = call.flag("ha-managed");
  if (manage) call.require("/", ["Sys.Console"]);
  const storage = call.text("storage") ?? "local";
  const set: Record<string, string> = {};
  for (const key of Object.keys(call.params)) if (!CONTROL.has(key) && !isUnused(key)) set[key] = call.need(key);
  checkLxcKeys(call, { vmid, pool, unprivileged, before: {} }, set);
  checkTemplate(call, restore);
  // a size alone, which only root may give, is meant for the default storage
  if (/^\d+(\.\d+)?$/.test(set["rootfs"] ?? "")) set["rootfs"] = `${storage}:${set["rootfs"] ?? ""}`;
  if (set["rootfs"] === undefined) {
    if (Object.keys(set).some(isMountKey)) fail("mount points configured, but 'rootfs' not set - aborting");
    containerStorage(call, storage);
  }
  checkMountStorages(call, set);
  checkLxcValues(call, set);
  if (!restore) set["rootfs"] ??= `${storage}:${DEFAULT_GIB}`;
  const start = call.flag("start");
  const plan: Plan = { set, pool, unprivileged, restore };
  return call.task(restore ? "vzrestore" : "vzcreate", vmid, function* (log) {
    yield* build(call, plan, log);
    if (manage) {
      log.line("Add as HA resource");
      const state = start ? "started" : "stopped";
      (world.state.documents["ha-resources"] ??= {})[`ct:${vmid}`] = { sid: `ct:${vmid}`, type: "ct", state };
    }
    if (start) startAfter(call);
  });
}

/** @returns whether a container of this id is to be overwritten. */
function checkId(call: Call, force: boolean): boolean {
  const other = call.world.guest(call.vmid);
  if (other === undefined) return false;
  if (!force || other.kind !== "lxc" || other.node !== call.node)
    fail(`${kindWord(other)} ${call.vmid} already exists on node '${other.node}'`);
  if (other.run !== undefined) fail("can't overwrite running container");
  if (other.config["protection"] === "1") fail(`unable to restore CT ${call.vmid} - protection mode enabled`);
  return true;
}

function checkAllowed(call: Call, pool: string | undefined, overwrite: boolean): void {
  const path = `/vms/${call.vmid}`;
  if (call.holds(path, ["VM.Allocate"])) return;
  if (pool !== undefined && call.holds(`/pool/${pool}`, ["VM.Allocate"])) return;
  if (!overwrite || !call.holds(path, ["VM.Backup"])) deny();
}

/** The start is a task of its own: when it fails the container is there all the same. */
function startAfter(call: Call): void {
  const { world, vmid } = call;
  call.task("vzstart", vmid, function* () {
    yield world.guestLock("lxc", vmid);
    const guest = world.findGuest("lxc", call.node, vmid);
    if (guest.config["template"] === "1") fail("you can't start a CT if it's a template");
    yield world.duration("vzstart");
    startLxc(world, guest);
  });
}

function checkSshKeys(text: string | undefined): void {
  if (text === undefined) return;
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (!lines.every((line) => SSH_KEY.test(line))) fail("SSH public key validation error");
}

function checkTemplate(call: Call, restore: boolean): void {
  const template = call.need("ostemplate");
  if (template === "-") fail("pipe requires cli environment");
  checkVolumeAccess(call, call.vmid, template, restore ? "backup" : "vztmpl");
  enabledStorage(call.state, locate(call.state, template).storage.storage, call.node);
}

interface Plan {
  readonly set: Readonly<Record<string, string>>;
  readonly pool: string | undefined;
  readonly unprivileged: boolean;
  readonly restore: boolean;
}

function* build(call: Call, { set, pool, unprivileged, restore }: Plan, log: TaskLog): Work {
  const { world, vmid, node } = call;
  yield world.guestLock("lxc", vmid);
  const before = world.guest(vmid);
  const locked = before === undefined ? undefined : lockedText(before);
  if (locked !== undefined) fail(`unable to restore CT ${vmid} - ${locked}`);
  const guest: Guest = {
    vmid,
    kind: "lxc",
    node,
    config: { lock: "create" },
    pending: {},
    pendingDelete: {},
    snapshots: {},
    createdAt: world.seconds(),
  };
  world.addGuest(guest);
  const made: Volume[] = [];
  try {
    if (pool !== undefined) addToPool(world.state, pool, vmid);
    const saved = restore ? savedConfig(call, set, log) : undefined;
    const config = saved?.config ?? baseConfig(call, set, unprivileged);
    if (saved !== undefined) Object.assign(config, baseConfig(call, set, false, {}));
    const mounts = { ...saved?.mounts, ...set };
    for (const key of Object.keys(mounts)
      .filter(isMountKey)
      .sort((a, b) => (a === "rootfs" ? -1 : b === "rootfs" ? 1 : a < b ? -1 : 1))) {
      requireVolume(call, mounts[key] ?? "");
      config[key] = createMount({ world, node, vmid, log }, key, mounts[key] ?? "", made);
    }
    if (saved === undefined) unpack(call, config, log);
    yield world.duration("vzcreate");
    if (before !== undefined) dropVolumes(world, before);
    guest.config = config;
    world.guestChanged(guest);
  } catch (error) {
    for (const volume of made) freeVolume(world, volume.volid, node);
    if (before === undefined) world.removeGuest(guest);
    else world.addGuest(before);
    throw new Error(`unable to ${restore ? "restore" : "create"} CT ${vmid} - ${faultText(error)}`);
  }
}

/** A mount of a volume that should be there already. */
function requireVolume(call: Call, value: string): void {
  const volid = value.split(",")[0] ?? "";
  if (!/^[^/:\s]+:\d+\/[^,]+/.test(volid)) return;
  if (findVolume(call.state, volid, call.node) === undefined) fail(`volume '${volid}' does not exist`);
}

function baseConfig(
  call: Call,
  set: Readonly<Record<string, string>>,
  unprivileged: boolean,
  defaults: Readonly<Record<string, string>> = { hostname: `CT${call.vmid}`, memory: "512", swap: "512" },
): Record<string, string> {
  const config: Record<string, string> = { ...defaults };
  for (const [key, value] of Object.entries(set)) {
    if (isMountKey(key) || isUnused(key) || key === "unprivileged") continue;
    if (isNet(key)) config[key] = completeLxcNet(call, value);
    else if (key === "tags") config[key] = asLine(cleanTags(call, value));
    else if (key === "description") {
      if (value !== "") config[key] = lxcDescription(value);
    } else config[key] = lxcLine(key, value);
  }
  if (unprivileged) config["unprivileged"] = "1";
  return config;
}

/** What is unpacked tells system and architecture; an unmanaged container keeps its own. */
function unpack(call: Call, config: Record<string, string>, log: TaskLog): void {
  const template = call.need("ostemplate");
  const archive = findVolume(call.state, template, call.node);
  if (archive === undefined) {
    log.line(`volume '${template}' does not exist`);
    fail(`volume '${template}' does not exist`);
  }
  log.line(`extracting archive '${pathOf(locate(call.state, template))}'`);
  if (config["ostype"] !== "unmanaged") config["ostype"] = archive.holds?.["ostype"] ?? "debian";
  const arch = archive.holds?.["arch"] ?? "amd64";
  if (config["arch"] === undefined) log.line(`Detected container architecture: ${arch}`);
  config["arch"] ??= arch;
}

export const lxcCreateCalls: Handlers = { "POST /nodes/{node}/lxc": create };
