import { Call, type Handler, type Handlers } from "../call.js";
import { fail, faultText, refuse } from "../fault.js";
import { migrateCalls } from "../guests/common/migrate.js";
import { kindWord } from "../guests/common/names.js";
import { haltLxc, startLxc } from "../guests/lxc/power.js";
import { settle, startQemu } from "../guests/qemu/power.js";
import type { Guest } from "../state/model.js";
import type { TaskLog, Work } from "../tasks/runner.js";
import type { World } from "../world.js";

const POLL_MS = 200;
const SHUTDOWN_TIMEOUT_S = 180;

/** The named guests, or all; the privilege is needed on each, or on everything. */
function guestsOf(call: Call, privilege: string): Guest[] {
  const named = call.list("vms").map(Number);
  if (named.length === 0) call.require("/", [privilege]);
  for (const vmid of named) call.require(`/vms/${vmid}`, [privilege]);
  return Object.values(call.state.guests).filter((guest) => named.length === 0 || named.includes(guest.vmid));
}

interface Action {
  readonly task: string;
  readonly privilege: string;
  readonly verb: string;
  /** On one node only, the one that the call names. */
  readonly onNode?: boolean;
  /** Which guests are meant when none is named. */
  readonly wanted?: (call: Call, guest: Guest) => boolean;
  readonly skip: (guest: Guest) => string | undefined;
  readonly act: (world: World, guest: Guest) => void;
  /** What the line about a guest adds. */
  readonly detail?: (call: Call) => string;
}

/** One task for many guests; what fails is a warning, and the task's end. [BEHAVIOUR section 13] */
function bulk(action: Action): Handler {
  return (call) => {
    const { task, privilege, onNode, wanted } = action;
    const named = call.list("vms").length > 0;
    const guests = guestsOf(call, privilege)
      .filter((guest) => guest.config["template"] !== "1")
      .filter((guest) => onNode !== true || guest.node === call.node)
      .filter((guest) => named || wanted === undefined || wanted(call, guest));
    return call.task(task, "", (log) => workOn(call, action, guests, log));
  };
}

function* workOn(call: Call, { task, verb, skip, act, detail }: Action, guests: readonly Guest[], log: TaskLog): Work {
  const named = call.list("vms");
  log.line(named.length === 0 ? `${verb} all guests` : `${verb} guests: ${named.join(", ")}`);
  const failed: number[] = [];
  for (const guest of guests) {
    const word = kindWord(guest);
    const why = skip(guest);
    if (why !== undefined) {
      log.warn(`Skipping ${word} ${guest.vmid}, ${why}.`);
      continue;
    }
    log.line(`${verb} ${word} ${guest.vmid}${detail?.(call) ?? ""}`);
    yield call.world.duration(task);
    try {
      act(call.world, guest);
    } catch (error) {
      failed.push(guest.vmid);
      log.warn(`${verb} ${word} ${guest.vmid} failed: ${faultText(error)}`);
    }
  }
  if (failed.length > 0) fail(`Some guests failed to ${verb.replace(/ing$/, "").toLowerCase()}: ${failed.join(", ")}`);
}

/** Migrations are tasks of their own, one after the other. */
function migrateAll(task: string, onNode: boolean): Handler {
  return (call) => {
    const guests = guestsOf(call, "VM.Migrate").filter((guest) => !onNode || guest.node === call.node);
    const target = call.need("target");
    if (onNode && target === call.node) refuse({ target: "target is local node." });
    if (call.world.node(target) === undefined) fail(`no such cluster node '${target}'`);
    return call.task(task, "", function* (log) {
      const failed: number[] = [];
      for (const guest of guests.filter(({ node }) => node !== target)) {
        log.line(`Migrating ${kindWord(guest)} ${guest.vmid}`);
        const upid = migrateOne(call, guest, target, log);
        while (upid !== undefined && call.world.tasks.isActive(upid)) yield POLL_MS;
        if (upid === undefined || call.world.tasks.get(upid)?.status !== "OK") failed.push(guest.vmid);
      }
      if (failed.length > 0) fail(`Some guests failed to migrate: ${failed.join(", ")}`);
    });
  };
}

function migrateOne(call: Call, guest: Guest, target: string, log: TaskLog): string | undefined {
  const { node, kind, vmid } = guest;
  const running: Record<string, string> = kind === "qemu" ? { online: "1" } : { restart: "1" };
  const disks: Record<string, string> =
    kind === "qemu" && call.flag("with-local-disks") ? { "with-local-disks": "1" } : {};
  const params = { node, vmid: String(vmid), target, ...(guest.run !== undefined && running), ...disks };
  const path = `/nodes/${node}/${kind}/${vmid}/migrate`;
  try {
    const migrate = migrateCalls[`POST /nodes/{node}/${kind}/{vmid}/migrate`];
    return String(migrate?.(new Call(call.world, call.login, { node, path, params })));
  } catch (error) {
    log.warn(`Migrating ${kindWord(guest)} ${vmid} failed: ${faultText(error)}`);
    return undefined;
  }
}

const start: Action = {
  task: "bulk-start",
  privilege: "VM.PowerMgmt",
  verb: "Starting",
  skip: (guest) => (guest.run === undefined ? undefined : "already running"),
  act: (world, guest) => (guest.kind === "qemu" ? startQemu(world, guest) : startLxc(world, guest)),
};

const shutdown: Action = {
  task: "bulk-shutdown",
  privilege: "VM.PowerMgmt",
  verb: "Shutting down",
  skip: (guest) => (guest.run === undefined ? "not running" : undefined),
  act: (world, guest) => {
    if (guest.kind === "lxc") return haltLxc(world, guest);
    guest.run = undefined;
    settle(world, guest);
  },
};

const bulkShutdown: Action = {
  ...shutdown,
  detail: (call) => ` (Timeout = ${call.int("timeout") ?? SHUTDOWN_TIMEOUT_S} seconds)`,
};

const suspend: Action = {
  ...shutdown,
  task: "bulk-suspend",
  verb: "Suspending",
  act: (world, guest) => {
    if (guest.run !== undefined) guest.run.paused = true;
    world.guestChanged(guest);
  },
};

const managed = (call: Call, { kind, vmid }: Guest): boolean =>
  call.state.documents["ha-resources"]?.[`${kind === "qemu" ? "vm" : "ct"}:${vmid}`] !== undefined;

/** Unless guests are named, a node starts those that start with it and that no other agent starts. */
const startAll: Action = {
  ...start,
  task: "startall",
  onNode: true,
  wanted: (call, guest) => !managed(call, guest) && (call.flag("force") || guest.config["onboot"] === "1"),
};

export const bulkCalls: Handlers = {
  "POST /cluster/bulk-action/guest/start": bulk(start),
  "POST /cluster/bulk-action/guest/shutdown": bulk(bulkShutdown),
  "POST /cluster/bulk-action/guest/suspend": bulk(suspend),
  "POST /cluster/bulk-action/guest/migrate": migrateAll("bulk-migrate", false),
  "POST /nodes/{node}/startall": bulk(startAll),
  "POST /nodes/{node}/stopall": bulk({ ...shutdown, task: "stopall", onNode: true }),
  "POST /nodes/{node}/suspendall": bulk({ ...suspend, task: "suspendall", onNode: true }),
  "POST /nodes/{node}/migrateall": migrateAll("migrateall", true),
};
