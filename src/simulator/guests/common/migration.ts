import { fail, faultText } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { isFileStorage } from "../../storage/names.js";
import { humanSize } from "../../storage/sizes.js";
import { diskFormats, isShared, storageOf } from "../../storage/storages.js";
import { allocate, findVolume, hasClones, locate } from "../../storage/volumes.js";
import type { TaskLog, Work } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { mountKind, mountsOf } from "../lxc/mounts.js";
import { haltLxc, startLxc } from "../lxc/power.js";
import { memoryBytes } from "../qemu/status.js";
import { partsOfGuest, type Part } from "./parts.js";
import { lockedText } from "./values.js";

export interface MigrationPlan {
  readonly guest: Guest;
  readonly to: string;
  /** Source storage → target storage. */
  readonly map: (storage: string) => string;
  /** Of a running VM, its local disks too. */
  readonly withDisks: boolean;
  /** A running container is shut down and started on the target. */
  readonly restart: boolean;
}

/** Storages whose volumes PVE can send to another node. */
const SENDABLE = new Set(["dir", "btrfs", "zfspool", "lvmthin", "lvm"]);
const DOWNTIME_MS = 61;

/** One run of a migration with its log: every line has the time, what went wrong is an ERROR. */
class Run {
  /** Takes back what has gone over already. */
  readonly undo: (() => void)[] = [];
  private readonly began: number;

  constructor(
    readonly world: World,
    readonly plan: MigrationPlan,
    private readonly log: TaskLog,
  ) {
    this.began = world.clock.now();
  }

  say(text: string): void {
    const time = new Date(this.world.clock.now()).toISOString();
    this.log.line(`${time.slice(0, 10)} ${time.slice(11, 19)} ${text}`);
  }

  /** PVE's lines about jobs of the machine have no time. */
  plain(text: string): void {
    this.log.line(text);
  }

  /** `00:00:12` since it began. */
  took(): string {
    const seconds = Math.floor(((this.world.clock.now() - this.began) / 1000) * this.world.speed);
    const two = (value: number): string => String(value).padStart(2, "0");
    return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  }
}

/** The work of qmigrate and vzmigrate. [BEHAVIOUR section 5] @throws `migration aborted`, the reason is in the log */
export function* migration(world: World, plan: MigrationPlan, log: TaskLog): Work {
  const { guest, to } = plan;
  yield world.guestLock(guest.kind, guest.vmid);
  const run = new Run(world, plan, log);
  const wasRunning = guest.run !== undefined;
  let isMarked = false;
  try {
    run.say(`starting migration of ${wordOf(guest)} ${guest.vmid} to node '${to}' (${world.node(to)?.ip ?? ""})`);
    const parts = prepare(run);
    guest.config["lock"] = "migrate";
    isMarked = true;
    world.guestChanged(guest);
    if (guest.kind === "qemu") yield* (wasRunning ? live : offline)(run, parts);
    else yield* container(run, parts);
    arrive(run);
    isMarked = false;
  } catch (error) {
    for (const back of run.undo.reverse()) back();
    if (isMarked) delete guest.config["lock"];
    if (wasRunning && guest.kind === "lxc" && guest.run === undefined) startLxc(world, guest);
    world.guestChanged(guest);
    run.say(`ERROR: migration aborted (duration ${run.took()}): ${faultText(error)}`);
    fail("migration aborted");
  }
  if (guest.kind === "lxc") {
    run.say("start final cleanup");
    if (wasRunning) {
      run.say("start container on target node");
      startLxc(world, guest);
    }
  }
  run.say(`migration finished successfully (duration ${run.took()})`);
}

const wordOf = ({ kind }: Guest): string => (kind === "qemu" ? "VM" : "CT");

/** Everything that stops a migration before something moved. @returns the local volumes that go along */
function prepare(run: Run): Part[] {
  const { world, plan } = run;
  const { guest, to } = plan;
  const locked = lockedText(guest);
  if (locked !== undefined) fail(locked);
  if (guest.kind === "lxc") checkContainer(plan);
  else checkDevices(guest);
  if (world.node(to)?.online !== true) fail("Can't connect to destination address using public key");
  const local = partsOfGuest(guest).filter(({ volid }) => !isShared(locate(world.state, volid).storage));
  const reasons = local.map((part) => [part, reasonAgainst(run, part)] as const).filter(([, reason]) => reason);
  for (const [{ volid }, reason] of reasons) run.say(`ERROR: can't migrate local disk '${volid}': ${reason ?? ""}`);
  if (reasons.length > 0) fail("can't migrate VM - check log");
  for (const { volid } of local) {
    const { storage, parsed } = locate(world.state, volid);
    const parent = findVolume(world.state, volid, guest.node)?.parent;
    if (parsed.base !== undefined) fail(`can't migrate '${volid}' as it's a clone of '${parent ?? parsed.base.name}'`);
    if (!SENDABLE.has(storage.type)) fail(`can't migrate '${volid}' - storage type '${storage.type}' not supported`);
  }
  const attached = local.some(({ key, cloudInit }) => !cloudInit && !key.startsWith("unused"));
  if (guest.kind === "qemu" && guest.run !== undefined && attached && !plan.withDisks)
    fail("can't live migrate attached local disks without with-local-disks option");
  return local;
}

function checkContainer({ guest, restart }: MigrationPlan): void {
  if (guest.run !== undefined && !restart) fail("lxc live migration is currently not implemented");
  for (const [key, parts] of mountsOf(guest.config)) {
    const kind = mountKind(parts["volume"] ?? "");
    if (kind !== "volume" && parts["shared"] !== "1") fail(`cannot migrate local ${kind} mount point '${key}'`);
  }
}

/** Devices of the node itself: those that a mapping names may go offline. */
export function localDevices({ config }: Pick<Guest, "config">): { local: string[]; mapped: Record<string, string> } {
  const local: string[] = [];
  const mapped: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    const mapping = /(?:^|,)mapping=([^,]+)/.exec(value)?.[1];
    if (/^(hostpci|usb)\d+$/.test(key)) {
      if (mapping !== undefined) mapped[key] = mapping;
      else if (!/(?:^|,)(?:host=)?spice/.test(value)) local.push(key);
    } else if (/^serial\d+$/.test(key) && value !== "socket") local.push(key);
    else if (/^parallel\d+$/.test(key)) local.push(key);
  }
  return { local: local.sort(), mapped };
}

function checkDevices(guest: Guest): void {
  const { local, mapped } = localDevices(guest);
  if (local.length > 0) fail(`can't migrate VM which uses local devices: ${local.join(", ")}`);
  if (guest.run === undefined) return;
  const names = Object.entries(mapped).map(([key, name]) => `${key}:${name}`);
  if (names.length > 0)
    fail(`can't live migrate running VM which uses following mapped devices: ${names.sort().join(", ")}`);
  if (Object.keys(guest.config).some((key) => /^virtiofs\d+$/.test(key)))
    fail("Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: virtiofs");
}

function reasonAgainst({ world, plan: { guest } }: Run, { volid, cdrom }: Part): string | undefined {
  if (cdrom) return "local cdrom image";
  const { storage, parsed } = locate(world.state, volid);
  const inSnapshot = Object.values(guest.snapshots).some((section) =>
    Object.values(section).some((value) => value.includes(volid)),
  );
  if (inSnapshot && guest.run !== undefined && guest.kind === "qemu")
    return "online storage migration not possible if non-replicated snapshot exists";
  const takesThem = storage.type === "zfspool" || (isFileStorage(storage.type) && parsed.format === "qcow2");
  if (inSnapshot && !takesThem) return "non-migratable snapshot exists";
  if (hasClones(world.state, volid)) return "referenced by linked clone(s)";
  return parsed.vmid === guest.vmid ? undefined : `owned by other VM (owner = VM ${parsed.vmid ?? 0})`;
}

function announce(run: Run, parts: readonly Part[]): void {
  for (const { key, volid, cloudInit } of parts) {
    const how = key.startsWith("unused") ? "unused" : "attached";
    if (cloudInit) run.say(`found generated disk '${volid}' (in current VM config)`);
    else if (run.plan.guest.kind === "lxc") run.say(`found local volume '${volid}' (in current VM config)`);
    else run.say(`found local disk '${volid}' (${how})`);
  }
}

/** Sends volumes while nothing uses them. */
function* copy(run: Run, parts: readonly Part[], ms: number): Work {
  if (parts.length === 0) {
    yield ms;
    return;
  }
  if (run.plan.guest.kind === "qemu") run.say("copying local disk images");
  for (const { volid } of parts) {
    yield ms / parts.length;
    const name = transfer(run, volid);
    if (!isFileStorage(locate(run.world.state, name).storage.type))
      run.say(`  Logical volume "${name.split(":")[1] ?? ""}" created.`);
    run.say(`successfully imported '${name}'`);
    run.say(`volume '${volid}' is '${name}' on the target`);
  }
}

function* offline(run: Run, parts: readonly Part[]): Work {
  announce(run, parts);
  yield* copy(run, parts, run.world.duration("qmigrate"));
  checkTarget(run);
}

function* container(run: Run, parts: readonly Part[]): Work {
  const { world, plan } = run;
  if (plan.guest.run !== undefined) {
    run.say(`shutdown CT ${plan.guest.vmid}`);
    haltLxc(world, plan.guest);
  }
  announce(run, parts);
  yield* copy(run, parts, world.duration("vzmigrate"));
  checkTarget(run);
}

function checkTarget({ world, plan }: Run): void {
  if (world.node(plan.to)?.online !== true) fail("Can't connect to destination address using public key");
}

/** A machine that goes on running: its disks by mirror, then its memory. */
function* live(run: Run, parts: readonly Part[]): Work {
  const { world, plan } = run;
  const { vmid, config } = plan.guest;
  const ms = world.duration("qmigrate") / 4;
  announce(run, parts);
  run.say("conntrack state migration not supported or disabled, active connections might get dropped");
  const [disks, others] = [parts.filter(isMirrored), parts.filter((part) => !isMirrored(part))];
  if (others.length > 0) yield* copy(run, others, ms / 4);
  run.say(`starting VM ${vmid} on remote node '${plan.to}'`);
  yield ms;
  checkTarget(run);
  const moved = disks.map((part) => ({ ...part, size: sizeOf(run, part.volid), name: transfer(run, part.volid) }));
  for (const { volid, name } of moved) run.say(`volume '${volid}' is '${name}' on the target`);
  run.say("start remote tunnel");
  run.say("ssh tunnel ver 1");
  if (moved.length > 0) yield* mirror(run, moved, ms);
  const total = humanSize(memoryBytes(config));
  run.say(`starting online/live migration on unix:/run/qemu-server/${vmid}.migrate`);
  run.say("set migration capabilities");
  run.say("migration downtime limit: 100 ms");
  run.say("migration cachesize: 256.0 MiB");
  run.say("set migration parameters");
  run.say(`start migrate command to unix:/run/qemu-server/${vmid}.migrate`);
  yield ms;
  run.say(`migration active, transferred ${humanSize(memoryBytes(config) / 2)} of ${total} VM-state, 512.0 MiB/s`);
  yield ms;
  checkTarget(run);
  run.say(`average migration speed: 512.0 MiB/s - downtime ${DOWNTIME_MS} ms`);
  run.say(`migration completed, transferred ${total} VM-state`);
  run.say("migration status: completed");
  for (const { key } of moved)
    for (const text of ["Completing block job...", "Completed successfully.", "mirror-job finished"])
      run.plain(`drive-${key}: ${text}`);
  if (moved.length > 0) run.say("stopping NBD storage migration server on target.");
}

const isMirrored = ({ key, cloudInit }: Part): boolean => !cloudInit && !key.startsWith("unused");

const sizeOf = ({ world, plan }: Run, volid: string): number =>
  findVolume(world.state, volid, plan.guest.node)?.size ?? 0;

function* mirror(run: Run, disks: readonly { key: string; size: number }[], ms: number): Work {
  const { vmid } = run.plan.guest;
  run.say("starting storage migration");
  for (const { key, size } of disks) {
    const socket = `nbd:unix:/run/qemu-server/${vmid}_nbd.migrate:exportname=drive-${key}`;
    run.say(`${key}: start migration to ${socket}`);
    run.plain(`drive mirror is starting for drive-${key}`);
    const [none, all] = [humanSize(0), humanSize(size)];
    run.plain(`drive-${key}: transferred ${none} of ${all} (0.00%) in 0s`);
    yield ms / disks.length;
    run.plain(`drive-${key}: transferred ${all} of ${all} (100.00%) in 1s, ready`);
  }
  run.plain("all 'mirror' jobs are ready");
  run.say("switching mirror jobs to actively synced mode");
}

/** The configuration goes over, and with it the guest. */
function arrive({ world, plan: { guest, to } }: Run): void {
  delete guest.config["lock"];
  guest.node = to;
  if (guest.run !== undefined) {
    world.state.nextPid += 1 + world.random.below(20);
    guest.run.pid = world.state.nextPid;
  }
  world.guestChanged(guest);
}

/** Moves a volume. The name is kept unless the target has one of it, or another kind of storage. @returns the new id */
function transfer({ world, undo, plan: { guest, to, map } }: Run, volid: string): string {
  const { state } = world;
  const volume = findVolume(state, volid, guest.node) ?? fail(`volume '${volid}' does not exist`);
  const storage = storageOf(state, map(volume.storage));
  if (storage.storage === volume.storage && findVolume(state, volid, to) === undefined) {
    volume.node = to;
    undo.push(() => (volume.node = guest.node));
    return volid;
  }
  const formats = diskFormats(storage);
  const format = formats.includes(volume.format) ? volume.format : (formats[0] ?? "raw");
  const named = /vm-\d+-(?:cloudinit|state-[\w-]+)/.exec(volid)?.[0];
  const name = named !== undefined && isFileStorage(storage.type) ? `${named}.${format}` : named;
  const { size, content, used: data } = volume;
  const at = { storage: storage.storage, node: to, vmid: guest.vmid };
  const next = allocate(world, { ...at, format, size, content, name, data });
  for (const key of ["bootable", "holds"] as const)
    if (volume[key] !== undefined) Object.assign(next, { [key]: volume[key] });
  state.volumes.splice(state.volumes.indexOf(volume), 1);
  rename(guest, volid, next.volid);
  undo.push(() => {
    state.volumes.splice(state.volumes.indexOf(next), 1, volume);
    rename(guest, next.volid, volid);
  });
  return next.volid;
}

function rename(guest: Guest, from: string, to: string): void {
  for (const section of [guest.config, guest.pending, ...Object.values(guest.snapshots)])
    for (const [key, text] of Object.entries(section)) section[key] = text.replace(from, to);
}
