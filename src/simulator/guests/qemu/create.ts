import type { Call } from "../../call.js";
import { deny, fail, faultText } from "../../fault.js";
import { addToPool, requirePool } from "../../pools/members.js";
import type { Guest } from "../../state/model.js";
import { freeVolume } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import { makeBases } from "./bases.js";
import { writeCloudInit } from "./cloud-init.js";
import { createDisks } from "./disks.js";
import { defaultBoot, printBoot } from "./drives.js";
import { checkGiven, storedKeys } from "./given.js";
import { QEMU_VERSION } from "./machine.js";
import type { Scope } from "./permissions.js";
import { startQemu } from "./power.js";
import { prepareKeys } from "./prepare.js";
import { restoreQemu } from "./restore.js";

const CONTROL = new Set(
  "node vmid archive force unique pool storage start bwlimit live-restore ha-managed import-working-storage".split(" "),
);

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
  const given: Record<string, string> = {};
  for (const key of Object.keys(call.params)) if (!CONTROL.has(key)) given[key] = call.need(key);
  if (archive !== undefined) return restoreQemu(call, archive, given);
  const keys = prepareKeys(call, given);
  checkGiven(call, scope, keys);
  const other = world.guest(vmid);
  if (other !== undefined)
    fail(
      `unable to create VM ${vmid} - ${other.kind === "qemu" ? "VM" : "CT"} ${vmid} already exists on node '${other.node}'`,
    );
  const start = call.flag("start");
  return call.task("qmcreate", vmid, (log) => create(call, { keys, pool, start, log }));
}

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
  const config = storedKeys(call, keys);
  config["vmgenid"] ??= world.random.uuid();
  config["smbios1"] ??= `uuid=${world.random.uuid()}`;
  config["meta"] = `creation-qemu=${QEMU_VERSION},ctime=${world.seconds()}`;
  return config;
}
