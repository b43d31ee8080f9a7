import type { Call, Handlers } from "../../call.js";
import { deny, fail, faultText, refuse } from "../../fault.js";
import { addToPool, requirePool } from "../../pools/members.js";
import type { Guest, Volume } from "../../state/model.js";
import { checkVolumeAccess } from "../../storage/access.js";
import { contentTypes, enabledStorage } from "../../storage/storages.js";
import { findVolume, freeVolume, locate, pathOf } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import { asLine, lockedText } from "../common/values.js";
import { cleanTags } from "../common/tags.js";
import { isMountKey, isUnused } from "./mounts.js";
import { completeLxcNet, isNet } from "./nets.js";
import { checkLxcKeys } from "./permissions.js";
import { startLxc } from "./power.js";
import { checkLxcValues, lxcDescription, lxcLine } from "./values.js";
import { dropVolumes, savedConfig } from "./restore.js";
import { checkMounts, createMount } from "./volumes.js";

const CONTROL = new Set(
  "node vmid ostemplate restore force unique pool storage start bwlimit password ssh-public-keys ignore-unpack-errors ha-managed".split(
    " ",
  ),
);
const SSH_KEY = /^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/=]+( .*)?$/;
const DEFAULT_GIB = 4;

/** POST /nodes/N/lxc. */
function create(call: Call): string {
  const { world, vmid } = call;
  const pool = call.text("pool");
  if (pool !== undefined) requirePool(call.state, pool);
  const inPool = pool !== undefined && call.holds(`/pool/${pool}`, ["VM.Allocate"]);
  const restore = call.flag("restore");
  const overwrite = restore && call.flag("force");
  if (!call.holds(`/vms/${vmid}`, ["VM.Allocate"]) && !inPool)
    if (!overwrite || !call.holds(`/vms/${vmid}`, ["VM.Backup"])) deny();
  const unprivileged = call.flag("unprivileged", true);
  if (!unprivileged && !restore) call.require("/", ["Sys.Modify"]);
  checkSshKeys(call.text("ssh-public-keys"));
  const set: Record<string, string> = {};
  for (const key of Object.keys(call.params)) if (!CONTROL.has(key)) set[key] = call.need(key);
  checkLxcKeys(call, { vmid, pool, unprivileged, before: {} }, set);
  const other = world.guest(vmid);
  if (other !== undefined && (!overwrite || other.kind !== "lxc"))
    fail(`${other.kind === "qemu" ? "VM" : "CT"} ${vmid} already exists on node '${other.node}'`);
  if (other !== undefined) checkOverwrite(other);
  checkStorage(call, set);
  checkTemplate(call, restore);
  checkMounts(call, vmid, set, true);
  checkLxcValues(call, set);
  const storage = call.text("storage") ?? "local";
  if (!restore) set["rootfs"] ??= `${storage}:${DEFAULT_GIB}`;
  const plan: Plan = { set, pool, start: call.flag("start"), unprivileged, restore };
  return call.task(restore ? "vzrestore" : "vzcreate", vmid, (log) => build(call, plan, log));
}

function checkSshKeys(text: string | undefined): void {
  if (text === undefined) return;
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (!lines.every((line) => SSH_KEY.test(line))) fail("SSH public key validation error");
}

function checkStorage(call: Call, set: Readonly<Record<string, string>>): void {
  if (set["rootfs"] !== undefined && call.text("storage") === undefined) return;
  const name = call.text("storage") ?? "local";
  call.require(`/storage/${name}`, ["Datastore.AllocateSpace"]);
  const storage = enabledStorage(call.state, name, call.node);
  if (!contentTypes(storage).includes("rootdir"))
    refuse({ storage: `storage '${name}' does not support container directories` });
}

function checkTemplate(call: Call, restore: boolean): void {
  const template = call.need("ostemplate");
  const wanted = restore ? "backup" : "vztmpl";
  if (!/^[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]:.+$/.test(template))
    fail("Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651.");
  checkVolumeAccess(call, call.vmid, template);
  const { storage, parsed } = locate(call.state, template);
  enabledStorage(call.state, storage.storage, call.node);
  if (parsed.content !== wanted) fail(`unable to use volume ${template} - content type needs to be '${wanted}'`);
}

interface Plan {
  readonly set: Readonly<Record<string, string>>;
  readonly pool: string | undefined;
  readonly start: boolean;
  readonly unprivileged: boolean;
  readonly restore: boolean;
}

/** A container may be overwritten by its backup when it stands still and nothing holds it. */
function checkOverwrite(guest: Guest): void {
  if (guest.config["protection"] === "1") fail(`can't remove CT ${guest.vmid} - protection mode enabled`);
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
  if (guest.run !== undefined) fail("can't overwrite running container");
}

function* build(call: Call, { set, pool, start, unprivileged, restore }: Plan, log: TaskLog): Work {
  const { world, vmid, node } = call;
  yield world.guestLock("lxc", vmid);
  const before = world.guest(vmid);
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
  if (!start) return;
  yield world.duration("vzstart");
  startLxc(world, guest);
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
