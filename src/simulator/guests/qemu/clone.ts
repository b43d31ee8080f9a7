import type { Call, Handlers } from "../../call.js";
import { fail, faultText } from "../../fault.js";
import { addToPool, requirePool } from "../../pools/members.js";
import type { Guest, Volume } from "../../state/model.js";
import { formatSize } from "../../storage/sizes.js";
import { diskFormats, enabledStorage, hasFeature, isShared, requireImages, storageOf } from "../../storage/storages.js";
import { allocate, findVolume, freeVolume, locate } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import { joinString, splitString, type Parts } from "../../table/strings.js";
import { propertyString } from "../../table/table.js";
import { asLine, lockedText } from "../common/values.js";
import { logCopy, logFormatting } from "./disks.js";
import { drive, isCdrom, isCloudInit, isDriveKey, isUnusedKey, printDrive } from "./drives.js";
import { checkBridge, isNetKey, parseNet, printNet } from "./nets.js";
import { writeCloudInit } from "./cloud-init.js";

const NOT_COPIED = new Set([
  "parent",
  "snaptime",
  "vmstate",
  "snapstate",
  "runningmachine",
  "runningcpu",
  "running-nets-host-mtu",
  "template",
  "lock",
]);
const GIB = 2 ** 30;

interface Plan {
  readonly source: Guest;
  readonly newid: number;
  readonly node: string;
  readonly config: Record<string, string>;
  /** Drives to copy (full) or to base on the template. */
  readonly drives: readonly { readonly key: string; readonly parts: Parts; readonly full: boolean }[];
  readonly storage: string | undefined;
  readonly format: string | undefined;
  readonly pool: string | undefined;
}

/** POST clone: everything that can be told beforehand is refused at once; only the copying is a task. */
function clone(call: Call): string {
  const { world, vmid } = call;
  const pool = call.text("pool");
  if (pool !== undefined) requirePool(call.state, pool);
  const target = call.text("target");
  if (target !== undefined && world.node(target) === undefined && target !== "localhost")
    fail(`no such cluster node '${target}'`);
  const node = target === undefined || target === "localhost" ? call.node : target;
  const storage = call.text("storage");
  if (storage !== undefined) {
    enabledStorage(call.state, storage, node);
    if (node !== call.node && !isShared(storageOf(call.state, storage)))
      fail(`can't clone to non-shared storage '${storage}'`);
  }
  const source = world.guest(vmid);
  if (source?.kind !== "qemu" || source.node !== call.node)
    fail(`unable to find configuration file for VM ${vmid} on node '${call.node}'`);
  world.needLock("qemu", vmid, 1000);
  const locked = lockedText(source);
  if (locked !== undefined) fail(locked);
  const plan = makePlan(call, source, { node, storage, pool });
  return call.task("qmclone", vmid, (log) => copy(call, plan, log));
}

function makePlan(call: Call, source: Guest, to: Pick<Plan, "node" | "storage" | "pool">): Plan {
  const newid = call.int("newid") ?? 0;
  const snapname = call.text("snapname");
  const section = snapname === undefined ? source.config : source.snapshots[snapname];
  if (section === undefined) fail(`snapshot '${snapname ?? ""}' does not exist`);
  const full = call.has("full") ? call.flag("full") : source.config["template"] !== "1";
  const format = call.text("format");
  if (to.storage !== undefined && !full) fail("parameter 'storage' not allowed for linked clones");
  if (format !== undefined && !full) fail("parameter 'format' not allowed for linked clones");
  checkStorages(call, section, to);
  const other = call.world.guest(newid);
  if (other?.kind === "qemu") fail(`unable to create VM ${newid}: config file already exists`);
  const { config, drives } = copyConfig(call, section, { full, snapname });
  const name = section["name"] ?? String(source.vmid);
  config["name"] = call.text("name") ?? `Copy-of-VM-${name}`;
  const description = call.text("description");
  if (description !== undefined) config["description"] = asLine(description.trimEnd());
  return { source, newid, config, drives, format, ...to };
}

function checkStorages(
  call: Call,
  section: Readonly<Record<string, string>>,
  to: Pick<Plan, "node" | "storage">,
): void {
  for (const [key, value] of Object.entries(section)) {
    if (!isDriveKey(key)) continue;
    const parts = drive(key, value);
    const file = parts["file"] ?? "";
    if (isCdrom(parts, true) || file.startsWith("/")) continue;
    const name = to.storage ?? file.split(":")[0] ?? "";
    call.require(`/storage/${name}`, ["Datastore.AllocateSpace"]);
    const storage = requireImages(call.state, name);
    if (to.node !== call.node && !isShared(storage))
      fail(`can't clone VM to node '${to.node}' (VM uses local storage)`);
  }
}

interface How {
  readonly full: boolean;
  readonly snapname: string | undefined;
}

function copyConfig(call: Call, section: Readonly<Record<string, string>>, how: How): Pick<Plan, "config" | "drives"> {
  const config: Record<string, string> = {};
  const drives: { key: string; parts: Parts; full: boolean }[] = [];
  for (const [key, value] of Object.entries(section)) {
    if (NOT_COPIED.has(key) || isUnusedKey(key)) continue;
    if (key === "description" && how.snapname !== undefined) continue;
    if (isNetKey(key)) {
      const net = parseNet(value);
      checkBridge(call, net);
      config[key] = printNet({ ...net, macaddr: call.world.mac() });
    } else if (isDriveKey(key)) {
      const parts = drive(key, value);
      if (isCdrom(parts, true)) config[key] = value;
      else drives.push({ key, parts, full: checkFeature(call, { key, parts, ...how }) });
    } else config[key] = value;
  }
  config["smbios1"] = newUuid(config["smbios1"] ?? "", call.world.random.uuid());
  if (config["vmgenid"] !== undefined && config["vmgenid"] !== "0") config["vmgenid"] = call.world.random.uuid();
  return { config, drives: drives.sort((a, b) => (a.key < b.key ? -1 : 1)) };
}

/** `smbios1` with another identity. */
export function newUuid(smbios: string, uuid: string): string {
  const shape = propertyString("pve-qm-smbios1") ?? {};
  return joinString({ ...splitString(smbios, shape), uuid }, shape);
}

/** @returns whether the drive is copied in full. @throws where the storage can't do what is asked */
function checkFeature(
  call: Call,
  { key, parts, full, snapname }: How & { readonly key: string; readonly parts: Parts },
): boolean {
  if (isCloudInit(parts)) return true;
  const volid = parts["file"] ?? "";
  const { storage, parsed } = locate(call.state, volid);
  const of = snapname === undefined ? `'${volid}'` : `a snapshot of '${volid}'`;
  if (full) {
    const copies = snapname === undefined || hasFeature(storage, "snapshot", parsed);
    if (!copies) fail(`Full clone feature is not supported for ${of} (${key})`);
    return true;
  }
  const clones =
    snapname === undefined ? hasFeature(storage, "clone", parsed) : ["lvmthin", "rbd"].includes(storage.type);
  if (!clones) fail(`Linked clone feature is not supported for ${of} (${key})`);
  return false;
}

function* copy(call: Call, plan: Plan, log: TaskLog): Work {
  const { world } = call;
  const { source, newid, config } = plan;
  yield world.guestLock("qemu", source.vmid, 1000);
  log.line(`creating a clone of VM ${source.vmid} with ID ${newid}`);
  if (world.guest(newid) !== undefined)
    fail(`close (rename) atomic file '/etc/pve/nodes/${plan.node}/qemu-server/${newid}.conf' failed: File exists`);
  const guest: Guest = {
    vmid: newid,
    kind: "qemu",
    node: plan.node,
    config: { ...config, lock: "clone" },
    pending: {},
    pendingDelete: {},
    snapshots: {},
    createdAt: world.seconds(),
  };
  world.addGuest(guest);
  const made: Volume[] = [];
  try {
    if (plan.pool !== undefined) addToPool(world.state, plan.pool, newid);
    for (const one of plan.drives) {
      const volume = cloneDrive(call, plan, one, log);
      made.push(volume);
      config[one.key] = printDrive(one.key, { ...one.parts, file: volume.volid, size: formatSize(volume.size) });
      yield one.full ? world.duration("qmclone") * Math.max(0.1, Math.min(10, volume.size / GIB)) : 0;
    }
    yield world.duration("qmclone") / 2;
    guest.config = config;
    writeCloudInit(world, guest);
    world.guestChanged(guest);
  } catch (error) {
    for (const volume of made) freeVolume(world, volume.volid, plan.node);
    world.removeGuest(guest);
    throw new Error(`clone failed: ${faultText(error)}`);
  }
}

function cloneDrive(call: Call, plan: Plan, one: Plan["drives"][number], log: TaskLog): Volume {
  const { world } = call;
  const volid = one.parts["file"] ?? "";
  const origin = findVolume(world.state, volid, plan.source.node);
  if (origin === undefined) fail(`volume '${volid}' does not exist`);
  const cloudInit = isCloudInit(one.parts);
  const storage = plan.storage ?? origin.storage;
  log.line(`create ${one.full ? "full" : "linked"} clone of drive ${one.key} (${volid})`);
  const at = { storage, node: plan.node, vmid: plan.newid, size: origin.size, bootable: origin.bootable };
  if (!one.full) {
    const linkedFormat = origin.volid.includes("/") ? "qcow2" : origin.format;
    return allocate(world, { ...at, format: linkedFormat, base: origin });
  }
  const formats = diskFormats(enabledStorage(world.state, storage, plan.node));
  const wanted = plan.format ?? origin.format;
  const format = formats.includes(wanted) ? wanted : (formats[0] ?? "raw");
  const file = storageOf(world.state, storage).config["path"] !== undefined;
  const ciFormat = file ? (plan.format === "raw" ? "raw" : "qcow2") : "raw";
  const name = `vm-${plan.newid}-cloudinit${file ? `.${ciFormat}` : ""}`;
  const as = cloudInit ? { format: ciFormat, name } : { format, data: origin.used };
  const volume = allocate(world, { ...at, ...as });
  logFormatting({ world, log }, volume.volid, volume.format, volume.size);
  log.line(`allocated target volume '${volume.volid}'`);
  if (!cloudInit) logCopy(log, volume.size);
  return volume;
}

export const cloneCalls: Handlers = { "POST /nodes/{node}/qemu/{vmid}/clone": clone };
