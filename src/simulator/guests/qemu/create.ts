import type { Call } from "../../call.js";
import { deny, fail, faultText, refuse } from "../../fault.js";
import { addToPool, requirePool } from "../../pools/members.js";
import type { Guest } from "../../state/model.js";
import { enabledStorage } from "../../storage/storages.js";
import { checkVolumeAccess } from "../../storage/access.js";
import { findVolume, freeVolume, makeBase } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { asLine } from "../common/values.js";
import { checkTags, cleanTags } from "../common/tags.js";
import { checkDriveKind, checkDrives, createDisks } from "./disks.js";
import { defaultBoot, drive, isCdrom, isCloudInit, isDriveKey, isUnusedKey, printBoot } from "./drives.js";
import { checkBridge, isNetKey, parseNet } from "./nets.js";
import { checkDevice, checkKeys, type Scope } from "./permissions.js";
import { startQemu } from "./power.js";
import { prepareKeys } from "./prepare.js";
import { writeCloudInit } from "./cloud-init.js";

const CONTROL = new Set(
  "node vmid archive force unique pool storage start bwlimit live-restore ha-managed import-working-storage".split(" "),
);

/** QEMU's version that the simulated node has. */
export const QEMU_VERSION = "10.0.2";

/** POST /nodes/N/qemu. */
export function createQemu(call: Call): string {
  const { world, vmid } = call;
  const pool = call.text("pool");
  const scope: Scope = { vmid, pool };
  if (pool !== undefined) requirePool(call.state, pool);
  const allowed =
    call.holds(`/vms/${vmid}`, ["VM.Allocate"]) || (pool !== undefined && call.holds(`/pool/${pool}`, ["VM.Allocate"]));
  const archive = call.text("archive");
  if (!allowed && !(archive !== undefined && call.flag("force") && call.holds(`/vms/${vmid}`, ["VM.Backup"]))) deny();
  const storage = call.text("storage");
  if (storage !== undefined) call.require(`/storage/${storage}`, ["Datastore.AllocateSpace"]);
  if (call.flag("start")) call.require(`/vms/${vmid}`, ["VM.PowerMgmt"]);
  if (call.flag("ha-managed")) call.require("/", ["Sys.Console"]);
  if (archive !== undefined) return restore(call, archive);
  const given: Record<string, string> = {};
  for (const key of Object.keys(call.params)) if (!CONTROL.has(key)) given[key] = call.need(key);
  const keys = prepareKeys(call, given);
  checkConfig(call, scope, keys);
  const other = world.guest(vmid);
  if (other !== undefined)
    fail(
      `unable to create VM ${vmid} - ${other.kind === "qemu" ? "VM" : "CT"} ${vmid} already exists on node '${other.node}'`,
    );
  const start = call.flag("start");
  return call.task("qmcreate", vmid, (log) => create(call, { keys, pool, start, log }));
}

function checkConfig(call: Call, scope: Scope, keys: Readonly<Record<string, string>>): void {
  checkKeys(call, scope, Object.keys(keys));
  for (const [key, value] of Object.entries(keys)) {
    if (isDriveKey(key)) checkDriveKind(call, scope, key, value);
    else if (isNetKey(key)) checkBridge(call, parseNet(value));
    else if (key === "tags") checkTags(call, undefined, value, tagPath(call, scope));
    else checkDevice(call, scope, key, value);
  }
  checkDrives(call, scope, keys);
}

const tagPath = (call: Call, { vmid, pool }: Scope): string =>
  pool !== undefined && call.holds(`/pool/${pool}`, ["VM.Config.Options"]) ? `/pool/${pool}` : `/vms/${vmid}`;

interface Creation {
  readonly keys: Readonly<Record<string, string>>;
  readonly pool: string | undefined;
  readonly start: boolean;
  readonly log: TaskLog;
}

function* create(call: Call, { keys, pool, start, log }: Creation): Work {
  const { world, vmid, node } = call;
  yield world.guestLock("qemu", vmid, 1000);
  const guest: Guest = {
    vmid,
    kind: "qemu",
    node,
    config: { lock: "create" },
    pending: {},
    pendingDelete: {},
    snapshots: {},
    createdAt: world.seconds(),
  };
  world.addGuest(guest);
  const before = new Set(world.state.volumes);
  try {
    const config = newConfig(call, keys);
    const work = { world, node, vmid, config: {}, bios: keys["bios"], log };
    Object.assign(config, createDisks(work, keys));
    if (config["template"] === "1") makeBases(world, guest, config);
    if (config["boot"] === undefined) config["boot"] = printBoot(defaultBoot(config));
    yield world.duration("qmcreate");
    guest.config = config;
    writeCloudInit(world, guest);
    if (pool !== undefined) addToPool(world.state, pool, vmid);
    world.guestChanged(guest);
  } catch (error) {
    for (const volume of world.state.volumes.filter((v) => !before.has(v) && v.vmid === vmid))
      freeVolume(world, volume.volid, node);
    world.removeGuest(guest);
    throw new Error(`unable to create VM ${vmid} - ${faultText(error)}`);
  }
  if (start) {
    log.line("Execute autostart");
    yield world.duration("qmstart");
    startQemu(world, guest);
  }
}

/** What PVE adds to a new config: identity, meta; values as its file keeps them. */
function newConfig(call: Call, keys: Readonly<Record<string, string>>): Record<string, string> {
  const { world } = call;
  const config: Record<string, string> = {};
  for (const [key, value] of Object.entries(keys)) {
    if (isDriveKey(key)) continue;
    if (isUnusedKey(key)) config[key] = value;
    else if (key === "tags") config[key] = asLine(cleanTags(call, value));
    else if (key === "description") {
      if (value.trimEnd() !== "") config[key] = value.trimEnd();
    } else config[key] = asLine(value);
  }
  config["vmgenid"] ??= world.random.uuid();
  config["smbios1"] ??= `uuid=${world.random.uuid()}`;
  config["meta"] = `creation-qemu=${QEMU_VERSION},ctime=${world.seconds()}`;
  return config;
}

/** `template=1` at creation: the new disks are base volumes at once. */
export function makeBases(world: World, guest: Guest, config: Record<string, string>, only?: string): void {
  for (const [key, value] of Object.entries(config)) {
    if (!isDriveKey(key) || (only !== undefined && key !== only)) continue;
    const parts = drive(key, value);
    if (isCdrom(parts) || isCloudInit(parts)) continue;
    const volid = parts["file"] ?? "";
    config[key] = value.replace(volid, makeBase(world, volid, guest.node));
  }
}

/** Restoring needs an archive that exists; making the VM of it is told by the volume's own record. */
function restore(call: Call, archive: string): string {
  const { world, vmid, node } = call;
  if (archive === "-") fail("pipe requires cli environment");
  checkVolumeAccess(call, undefined, archive, "backup");
  const volume = findVolume(call.state, archive, node);
  if (volume === undefined) fail(`volume '${archive}' does not exist`);
  const other = world.guest(vmid);
  if (other !== undefined && !call.flag("force"))
    fail(`unable to restore VM ${vmid} - VM ${vmid} already exists on node '${other.node}'`);
  if (other !== undefined && other.kind !== "qemu") refuse({ vmid: `CT ${vmid} exists` });
  const pool = call.text("pool");
  const storage = call.text("storage");
  const start = call.flag("start");
  return call.task("qmrestore", vmid, function* (log) {
    yield world.guestLock("qemu", vmid, 1000);
    if (other?.config["protection"] === "1") fail(`unable to restore VM ${vmid} - protection mode enabled`);
    if (other?.run !== undefined) fail(`unable to restore VM ${vmid} - vm is running`);
    const config: Record<string, string> = { ...volume.holds };
    for (const key of Object.keys(config)) {
      if (!isDriveKey(key)) continue;
      const parts = drive(key, config[key] ?? "");
      if (isCdrom(parts)) continue;
      const target = storage ?? (parts["file"] ?? "").split(":")[0] ?? "";
      enabledStorage(world.state, target, node);
      delete config[key];
      Object.assign(config, createDisks({ world, node, vmid, config, log }, { [key]: `${target}:1` }));
    }
    config["vmgenid"] = world.random.uuid();
    yield world.duration("qmrestore");
    const guest: Guest = {
      vmid,
      kind: "qemu",
      node,
      config,
      pending: {},
      pendingDelete: {},
      snapshots: {},
      createdAt: world.seconds(),
    };
    world.addGuest(guest);
    if (pool !== undefined) addToPool(world.state, pool, vmid);
    if (start) startQemu(world, guest);
  });
}
