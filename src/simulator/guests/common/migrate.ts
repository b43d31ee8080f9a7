import type { Call, Handlers } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import type { Guest, GuestKind } from "../../state/model.js";
import { contentTypes, isOnNode, isShared, storageOf } from "../../storage/storages.js";
import { findVolume, locate } from "../../storage/volumes.js";
import type { World } from "../../world.js";
import { rootOnly } from "../qemu/permissions.js";
import { isManaged, sidOf } from "./ha.js";
import { localDevices, migration, type MigrationPlan } from "./migration.js";
import { partsOfGuest } from "./parts.js";
import { lockedText } from "./values.js";

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
    const { local, mapped } = localDevices(guest);
    const disks = parts
      .filter(({ volid }) => isLocal(call.world, volid))
      .map(({ key, volid, cdrom, cloudInit }) => {
        const size = findVolume(call.state, volid, guest.node)?.size;
        return {
          volid,
          drivename: key,
          cdrom: cdrom ? 1 : 0,
          is_unused: key.startsWith("unused") ? 1 : 0,
          is_attached: key.startsWith("unused") ? 0 : 1,
          is_cloudinit: cloudInit ? 1 : 0,
          is_tpmstate: key === "tpmstate0" ? 1 : 0,
          is_vmstate: 0,
          replicate: 1,
          shared: 0,
          ...(size !== undefined && { size }),
        };
      });
    return {
      running,
      allowed_nodes: allowed,
      not_allowed_nodes: refused,
      local_disks: disks,
      local_resources: local,
      "mapped-resources": Object.keys(mapped).sort(),
      "mapped-resource-info": Object.fromEntries(Object.entries(mapped).map(([key, name]) => [key, { name }])),
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

type Where = Pick<MigrationPlan, "guest" | "to" | "map">;

function checkStorages(call: Call, { guest, to, map }: Where, mapped: boolean): void {
  for (const { volid, cdrom } of partsOfGuest(guest)) {
    const { storage } = locate(call.state, volid);
    const name = isShared(storage) ? storage.storage : map(storage.storage);
    if (cdrom) continue;
    const target = storageOf(call.state, name);
    if (target.config["disable"] === "1") fail(`storage '${name}' is disabled`);
    if (!isOnNode(target, to)) fail(`storage '${name}' is not available on node '${to}'`);
    if (!mapped) continue;
    call.require(`/storage/${name}`, ["Datastore.AllocateSpace"]);
    const [content, word] = guest.kind === "qemu" ? ["images", "vm images"] : ["rootdir", "CT rootdirs"];
    if (!contentTypes(target).includes(content ?? "")) fail(`storage '${name}' does not support ${word ?? ""}`);
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
  const map = storageMap(call.text("targetstorage"));
  checkStorages(call, { guest, to, map }, mapped);
  if (isManaged(call.state, guest)) return requestMove(call, guest, to);
  const plan = { guest, to, map, withDisks: call.flag("with-local-disks"), restart: false };
  return call.task("qmigrate", guest.vmid, (log) => migration(world, plan, log));
}

function migrateCt(call: Call): string {
  const { world } = call;
  const guest = world.findGuest("lxc", call.node, call.vmid);
  const to = target(call, guest);
  const restart = call.flag("restart");
  if (guest.run !== undefined && !restart && !call.flag("online"))
    fail("can't migrate running container without --online or --restart");
  const map = storageMap(call.text("target-storage"));
  checkStorages(call, { guest, to, map }, call.has("target-storage"));
  if (isManaged(call.state, guest)) return requestMove(call, guest, to);
  const plan = { guest, to, map, withDisks: true, restart };
  return call.task("vzmigrate", guest.vmid, (log) => migration(world, plan, log));
}

/** A guest that HA manages: the task only hands the request over. */
function requestMove(call: Call, guest: Guest, to: string): string {
  const word = guest.kind === "qemu" ? "VM" : "CT";
  return call.task("hamigrate", guest.vmid, function* (log) {
    log.line(`Requesting HA migration for ${word} ${guest.vmid} to node ${to}`);
    yield 0;
    call.world.haRequests.set(sidOf(guest), { move: to, relocate: guest.kind === "lxc" });
  });
}

export const migrateCalls: Handlers = {
  "GET /nodes/{node}/qemu/{vmid}/migrate": preconditions("qemu"),
  "POST /nodes/{node}/qemu/{vmid}/migrate": migrateVm,
  "GET /nodes/{node}/lxc/{vmid}/migrate": preconditions("lxc"),
  "POST /nodes/{node}/lxc/{vmid}/migrate": migrateCt,
};
