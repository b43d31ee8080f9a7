import type { Call, Handlers } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import type { Guest, GuestKind } from "../../state/model.js";
import { isFileStorage } from "../../storage/names.js";
import { diskFormats, isOnNode, isShared, storageOf } from "../../storage/storages.js";
import { allocate, findVolume, locate } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { isMountKey, mountKind, parseMount } from "../lxc/mounts.js";
import { haltLxc, startLxc } from "../lxc/power.js";
import { drive, isCdrom, isCloudInit, isDriveKey } from "../qemu/drives.js";
import { rootOnly } from "../qemu/permissions.js";
import { lockedText } from "./values.js";

interface Part {
  readonly key: string;
  readonly volid: string;
  readonly cdrom: boolean;
}

/** The volumes that a guest's config speaks of, CD media among them. */
function partsOfGuest({ kind, config }: Guest): Part[] {
  return Object.entries(config).flatMap(([key, value]): Part[] => {
    if (/^unused\d+$/.test(key)) return [{ key, volid: value.split(",")[0] ?? "", cdrom: false }];
    if (kind === "lxc") {
      if (!isMountKey(key)) return [];
      const volid = parseMount(key, value)["volume"] ?? "";
      return mountKind(volid) === "volume" ? [{ key, volid, cdrom: false }] : [];
    }
    if (!isDriveKey(key)) return [];
    const parts = drive(key, value);
    const volid = parts["file"] ?? "";
    if (volid === "none" || volid === "cdrom" || volid.startsWith("/")) return [];
    return [{ key, volid, cdrom: isCdrom(parts) && !isCloudInit(parts) }];
  });
}

const isLocal = (world: World, volid: string): boolean => !isShared(locate(world.state, volid).storage);

/** GET migrate: where the guest may go and what holds it. [BEHAVIOUR section 5] */
function preconditions(kind: GuestKind) {
  return (call: Call): unknown => {
    const guest = call.world.findGuest(kind, call.node, call.vmid);
    const locked = lockedText(guest);
    if (locked !== undefined) fail(locked);
    const others = Object.keys(call.state.nodes).filter((node) => node !== guest.node);
    const running = guest.run === undefined ? 0 : 1;
    const parts = partsOfGuest(guest);
    const missing = (node: string): string[] => [
      ...new Set(
        parts
          .map(({ volid }) => locate(call.state, volid).storage)
          .filter((s) => !isOnNode(s, node))
          .map((s) => s.storage),
      ),
    ];
    const allowed = others.filter((node) => missing(node).length === 0);
    const refused = Object.fromEntries(
      others.map((node) => [node, missing(node).length === 0 ? {} : { unavailable_storages: missing(node) }]),
    );
    if (kind === "lxc") return { running, "allowed-nodes": allowed, "not-allowed-nodes": refused };
    const disks = parts
      .filter(({ volid }) => isLocal(call.world, volid))
      .map(({ key, volid, cdrom }) => {
        const size = findVolume(call.state, volid, guest.node)?.size;
        return {
          volid,
          drivename: key,
          cdrom: cdrom ? 1 : 0,
          is_unused: key.startsWith("unused") ? 1 : 0,
          is_attached: 1,
          ...(size !== undefined && { size }),
        };
      });
    return {
      running,
      allowed_nodes: allowed,
      not_allowed_nodes: refused,
      local_disks: disks,
      local_resources: [],
      "mapped-resources": [],
      "mapped-resource-info": {},
      "has-dbus-vmstate": 1,
    };
  };
}

/** `S`, `1`, or `a:b,c:d` with an optional default: source storage → target storage. */
function storageMap(text: string | undefined): (storage: string) => string {
  const pairs = new Map<string, string>();
  let fallback: string | undefined;
  for (const part of (text ?? "1").split(",")) {
    const [from = "", to] = part.split(":");
    if (to !== undefined) pairs.set(from, to);
    else if (from !== "1") fallback = from;
  }
  return (storage) => pairs.get(storage) ?? fallback ?? storage;
}

function target(call: Call, guest: Guest): string {
  const name = call.need("target");
  if (call.world.node(name) === undefined) fail(`no such cluster node '${name}'`);
  if (name === guest.node) refuse({ target: "target is local node." });
  return name;
}

interface Plan {
  readonly guest: Guest;
  readonly to: string;
  readonly map: (storage: string) => string;
}

function checkStorages(call: Call, { guest, to, map }: Plan, mapped: boolean): void {
  for (const { volid, cdrom } of partsOfGuest(guest)) {
    const { storage } = locate(call.state, volid);
    const name = isShared(storage) ? storage.storage : map(storage.storage);
    if (cdrom) continue;
    if (!isOnNode(storageOf(call.state, name), to)) fail(`storage '${name}' is not available on node '${to}'`);
    if (mapped) call.require(`/storage/${name}`, ["Datastore.AllocateSpace"]);
  }
}

function migrateVm(call: Call): string {
  const { world } = call;
  rootOnly(call, "force", "migration_type", "migration_network");
  const guest = world.findGuest("qemu", call.node, call.vmid);
  const to = target(call, guest);
  const mapped = call.has("targetstorage");
  if (mapped) call.require(`/vms/${guest.vmid}`, ["VM.Config.Disk"]);
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
  if (guest.run !== undefined && !call.flag("online")) fail("can't migrate running VM without --online");
  const plan = { guest, to, map: storageMap(call.text("targetstorage")) };
  checkStorages(call, plan, mapped);
  const withDisks = call.flag("with-local-disks");
  return call.task("qmigrate", guest.vmid, function* (log) {
    yield world.guestLock("qemu", guest.vmid);
    checkDisks(world, plan, withDisks, log);
    yield* move(world, plan, log);
  });
}

/** What ends the task before anything moved: the reason is in its log. */
function checkDisks(world: World, { guest, to }: Plan, withDisks: boolean, log: TaskLog): void {
  say(world, log, `starting migration of VM ${guest.vmid} to node '${to}' (${world.node(to)?.ip ?? ""})`);
  const abort = (reason: string): never => {
    say(world, log, `ERROR: migration aborted (duration 00:00:00): ${reason}`);
    return fail("migration aborted");
  };
  if (world.node(to)?.online !== true) abort("Can't connect to destination address using public key");
  for (const { volid, cdrom } of partsOfGuest(guest)) {
    if (!isLocal(world, volid)) continue;
    if (cdrom) abort(`can't migrate local disk '${volid}': local cdrom image`);
    if (
      findVolume(world.state, volid, guest.node)?.parent !== undefined &&
      locate(world.state, volid).parsed.base !== undefined
    )
      abort(
        `can't migrate '${volid}' as it's a clone of '${findVolume(world.state, volid, guest.node)?.parent ?? ""}'`,
      );
    if (guest.run !== undefined && !withDisks)
      abort("can't live migrate attached local disks without with-local-disks option");
  }
}

/** Every line of a migration's log has the time. */
function say(world: World, log: TaskLog, text: string): void {
  const time = new Date(world.clock.now()).toISOString();
  log.line(`${time.slice(0, 10)} ${time.slice(11, 19)} ${text}`);
}

function* move(world: World, plan: Plan, log: TaskLog): Work {
  const { guest, to } = plan;
  guest.config["lock"] = "migrate";
  world.guestChanged(guest);
  try {
    yield world.duration(guest.kind === "qemu" ? "qmigrate" : "vzmigrate");
  } finally {
    delete guest.config["lock"];
    world.guestChanged(guest);
  }
  for (const { key, volid, cdrom } of partsOfGuest(guest)) {
    if (cdrom || !isLocal(world, volid)) continue;
    const next = transfer(world, plan, volid);
    say(world, log, `volume '${volid}' is '${next}' on the target`);
    const value = guest.config[key] ?? "";
    guest.config[key] = value.replace(volid, next);
    for (const section of [guest.pending, ...Object.values(guest.snapshots)])
      for (const [name, text] of Object.entries(section)) section[name] = text.replace(volid, next);
  }
  guest.node = to;
  world.guestChanged(guest);
  say(world, log, "migration finished successfully (duration 00:00:01)");
}

/** Moves a volume. The name is kept unless the target has one of it, or another kind of storage. @returns the new id */
function transfer(world: World, { guest, to, map }: Plan, volid: string): string {
  const { state } = world;
  const volume = findVolume(state, volid, guest.node) ?? fail(`volume '${volid}' does not exist`);
  const storage = storageOf(state, map(volume.storage));
  if (storage.storage === volume.storage && findVolume(state, volid, to) === undefined) {
    volume.node = to;
    return volid;
  }
  const formats = diskFormats(storage);
  const format = formats.includes(volume.format) ? volume.format : (formats[0] ?? "raw");
  const named = /vm-\d+-(?:cloudinit|state-[\w-]+)/.exec(volid)?.[0];
  const name = named !== undefined && isFileStorage(storage.type) ? `${named}.${format}` : named;
  const { size, content } = volume;
  const next = allocate(world, { storage: storage.storage, node: to, vmid: guest.vmid, format, size, content, name });
  for (const key of ["bootable", "holds"] as const)
    if (volume[key] !== undefined) Object.assign(next, { [key]: volume[key] });
  state.volumes.splice(state.volumes.indexOf(volume), 1);
  return next.volid;
}

function migrateCt(call: Call): string {
  const { world } = call;
  const guest = world.findGuest("lxc", call.node, call.vmid);
  const to = target(call, guest);
  const restart = call.flag("restart");
  if (guest.run !== undefined && !restart && !call.flag("online"))
    fail("can't migrate running container without --online or --restart");
  const plan = { guest, to, map: storageMap(call.text("target-storage")) };
  checkStorages(call, plan, call.has("target-storage"));
  return call.task("vzmigrate", guest.vmid, function* (log) {
    yield world.guestLock("lxc", guest.vmid);
    const locked = lockedText(guest);
    if (locked !== undefined) fail(locked);
    if (guest.run !== undefined && !restart) fail("lxc live migration is currently not implemented");
    if (world.node(to)?.online !== true) {
      say(world, log, "ERROR: Can't connect to destination address using public key");
      fail("migration aborted");
    }
    const wasRunning = guest.run !== undefined;
    say(world, log, `starting migration of CT ${guest.vmid} to node '${to}' (${world.node(to)?.ip ?? ""})`);
    if (wasRunning) haltLxc(world, guest);
    yield* move(world, plan, log);
    if (!wasRunning) return;
    say(world, log, "start container on target node");
    startLxc(world, guest);
  });
}

export const migrateCalls: Handlers = {
  "GET /nodes/{node}/qemu/{vmid}/migrate": preconditions("qemu"),
  "POST /nodes/{node}/qemu/{vmid}/migrate": migrateVm,
  "GET /nodes/{node}/lxc/{vmid}/migrate": preconditions("lxc"),
  "POST /nodes/{node}/lxc/{vmid}/migrate": migrateCt,
};
