import type { Call, Handlers } from "../../call.js";
import { fail, faultText } from "../../fault.js";
import { addToPool, requirePool } from "../../pools/members.js";
import type { Guest, Volume } from "../../state/model.js";
import { formatSize } from "../../storage/sizes.js";
import { contentTypes, enabledStorage, hasFeature, isShared, storageOf } from "../../storage/storages.js";
import { allocate, findVolume, freeVolume, locate } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import type { Parts } from "../../table/strings.js";
import { lockedText } from "../common/values.js";
import { checkBridge } from "../qemu/nets.js";
import { isMountKey, isUnused, mountKind, mountsOf, printMount } from "./mounts.js";
import { isNet, parseLxcNet, withNewMac } from "./nets.js";
import { lxcDescription } from "./values.js";
import { logFilesystem } from "./volumes.js";

const NOT_COPIED = new Set(["template", "lock", "parent", "snaptime", "snapstate"]);
const GIB = 2 ** 30;

interface Plan {
  readonly source: Guest;
  readonly target: Guest;
  readonly config: Record<string, string>;
  readonly mounts: readonly [string, Parts][];
  readonly full: boolean;
  readonly storage: string | undefined;
}

/** POST clone: everything is checked, and the new id taken, before the task. [BEHAVIOUR section 12] */
function clone(call: Call): string {
  const { world, vmid } = call;
  const newid = call.int("newid") ?? 0;
  const pool = call.text("pool");
  if (pool !== undefined) requirePool(call.state, pool);
  const node = targetNode(call);
  const storage = call.text("storage");
  if (storage !== undefined) {
    enabledStorage(call.state, storage, node);
    if (node !== call.node && !isShared(storageOf(call.state, storage)))
      fail(`can't clone to non-shared storage '${storage}'`);
  }
  const other = world.guest(newid);
  if (other !== undefined)
    fail(`${other.kind === "qemu" ? "VM" : "CT"} ${newid} already exists on node '${other.node}'`);
  const source = world.findGuest("lxc", call.node, vmid);
  world.needLock("lxc", vmid, 1000);
  const locked = lockedText(source);
  if (locked !== undefined) fail(locked);
  const plan = makePlan(call, source, { newid, node, storage });
  if (pool !== undefined) addToPool(world.state, pool, newid);
  world.addGuest(plan.target);
  source.config["lock"] = "disk";
  world.guestChanged(source);
  return call.task("vzclone", vmid, (log) => copy(call, plan, log));
}

function targetNode(call: Call): string {
  const target = call.text("target");
  if (target === undefined || target === "localhost") return call.node;
  if (call.world.node(target) === undefined) fail(`no such cluster node '${target}'`);
  return target;
}

interface To {
  readonly newid: number;
  readonly node: string;
  readonly storage: string | undefined;
}

function makePlan(call: Call, source: Guest, { newid, node, storage }: To): Plan {
  const snapname = call.text("snapname");
  const section = snapname === undefined ? source.config : source.snapshots[snapname];
  if (section === undefined) fail(`snapshot '${snapname ?? ""}' does not exist`);
  const full = call.has("full") ? call.flag("full") : source.config["template"] !== "1";
  if (storage !== undefined && !full) fail("parameter 'storage' not allowed for linked clones");
  if (source.run !== undefined && full && snapname === undefined)
    fail("Full clone of a running container is only possible from a snapshot");
  const config: Record<string, string> = {};
  for (const [key, value] of Object.entries(section)) {
    if (NOT_COPIED.has(key) || isUnused(key) || isMountKey(key)) continue;
    if (isNet(key)) {
      checkBridge(call, parseLxcNet(value));
      config[key] = withNewMac(call, value);
    } else config[key] = value;
  }
  const mounts = mountsOf(section);
  const shared = mounts.map(([key, mount]) => checkMount(call, { key, mount, full, storage }));
  if (node !== call.node && shared.includes(false)) fail(`can't clone CT to node '${node}' (CT uses local storage)`);
  config["hostname"] = call.text("hostname") ?? config["hostname"] ?? `CT${newid}`;
  const description = call.text("description");
  if (description !== undefined) config["description"] = lxcDescription(description);
  const target: Guest = {
    vmid: newid,
    kind: "lxc",
    node,
    config: { lock: "create" },
    pending: {},
    pendingDelete: {},
    snapshots: {},
    createdAt: call.world.seconds(),
  };
  return { source, target, config, mounts, full, storage };
}

interface MountCheck {
  readonly key: string;
  readonly mount: Parts;
  readonly full: boolean;
  readonly storage: string | undefined;
}

/** @returns whether other nodes reach the storage that the copy will be on. @throws what can't be copied so */
function checkMount(call: Call, { key, mount, full, storage }: MountCheck): boolean {
  const volid = mount["volume"] ?? "";
  const kind = mountKind(volid);
  if (kind !== "volume") fail(`unable to clone mountpoint '${key}' (type ${kind})`);
  const located = locate(call.state, volid);
  call.require(`/storage/${storage ?? located.storage.storage}`, ["Datastore.AllocateSpace"]);
  // a file based linked clone would need qcow2, which containers can't use
  const clones = hasFeature(located.storage, "clone", located.parsed) && located.storage.config["path"] === undefined;
  if (!full && !clones) fail(`Linked clone feature for '${volid}' is not available`);
  return isShared(storage === undefined ? located.storage : storageOf(call.state, storage));
}

function* copy(call: Call, plan: Plan, log: TaskLog): Work {
  const { world } = call;
  const { source, target, config } = plan;
  const made: Volume[] = [];
  try {
    log.line(`creating a clone of container ${source.vmid} with ID ${target.vmid}`);
    for (const [key, mount] of plan.mounts) {
      const volume = copyMount(call, plan, { key, mount, log });
      made.push(volume);
      config[key] = printMount(key, { ...mount, volume: volume.volid, size: formatSize(volume.size) });
      yield plan.full ? world.duration("vzclone") * Math.max(0.1, Math.min(10, volume.size / GIB)) : 0;
    }
    target.config = config;
    world.guestChanged(target);
  } catch (error) {
    for (const volume of made) freeVolume(world, volume.volid, target.node);
    world.removeGuest(target);
    for (const pool of Object.values(world.state.pools)) pool.vms = pool.vms.filter((id) => id !== target.vmid);
    throw new Error(`clone failed: ${faultText(error)}`);
  } finally {
    delete source.config["lock"];
    world.guestChanged(source);
  }
}

interface MountCopy {
  readonly key: string;
  readonly mount: Parts;
  readonly log: TaskLog;
}

function copyMount(call: Call, plan: Plan, { key, mount, log }: MountCopy): Volume {
  const { world } = call;
  const volid = mount["volume"] ?? "";
  log.line(`create ${plan.full ? "full" : "linked"} clone of mountpoint ${key} (${volid})`);
  const origin = findVolume(world.state, volid, plan.source.node);
  if (origin === undefined) fail(`volume '${volid}' does not exist`);
  const name = plan.storage ?? origin.storage;
  const storage = enabledStorage(world.state, name, plan.target.node);
  if (!contentTypes(storage).includes("rootdir"))
    fail(`content type 'rootdir' is not available or configured on storage '${name}'`);
  const { format, size } = origin;
  const at = { storage: name, node: plan.target.node, vmid: plan.target.vmid, format, size, content: "rootdir" };
  const volume = allocate(world, plan.full ? { ...at, data: origin.used } : { ...at, base: origin });
  if (plan.full && format === "raw") logFilesystem({ world, log }, volume.volid, size);
  return volume;
}

export const lxcCloneCalls: Handlers = { "POST /nodes/{node}/lxc/{vmid}/clone": clone };
