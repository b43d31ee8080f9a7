import type { Call } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { freeVolume } from "../../storage/volumes.js";
import { CALL_SHAPES } from "../../table/table.js";
import { splitList } from "../../table/check.js";
import type { TaskLog } from "../../tasks/runner.js";
import { asLine, cleanPending, computeDigest, lockedText } from "../common/values.js";
import { checkTags, cleanTags } from "../common/tags.js";
import { checkDriveKind, checkDrives, createDisks } from "./disks.js";
import { bootOrder, drive, isCdrom, isDriveKey, isUnusedKey, printBoot } from "./drives.js";
import { applyPending, hotplugPending } from "./hotplug.js";
import { checkBridge, isNetKey, parseNet } from "./nets.js";
import { checkDevice, checkKeys, rootOnly } from "./permissions.js";
import { checkHookscript, prepareKeys } from "./prepare.js";
import { dropUsedUnused, isInUse, isOwner, registerUnused } from "./unused.js";
import { STATE_KEYS } from "./vmstate.js";

const KEYS = CALL_SHAPES.get("POST /nodes/{node}/qemu/{vmid}/config")?.params ?? {};
/** Parameters of the call that are no config keys. */
const CONTROL = new Set(
  "node vmid idlist delete revert digest force skiplock background_delay import-working-storage".split(" "),
);
/** Keys that only PVE sets, but that may be deleted. */
const DELETABLE = new Set(["vmstate", "meta", "parent"]);

const isOption = (key: string): boolean => (KEYS[key] !== undefined && !CONTROL.has(key)) || DELETABLE.has(key);

/** One update of a VM's config: what is set, deleted and taken back. */
export interface Change {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
  readonly revert: readonly string[];
  readonly force: boolean;
  readonly skiplock: boolean;
  readonly digest: string | undefined;
  /** As the task's log shows it. */
  readonly printed: string;
}

/** The checks of PVE's `update_vm_api` that need no guest; `remove` overrides the `delete` parameter (unlink). */
export function readChange(call: Call, remove: readonly string[] = call.list("delete")): Change {
  rootOnly(call, "skiplock");
  const given: Record<string, string> = {};
  for (const key of Object.keys(call.params)) if (!CONTROL.has(key)) given[key] = call.need(key);
  const revert = call.list("revert");
  if (Object.keys(given).length + remove.length + revert.length === 0) fail("no options specified");
  if (given["hookscript"] !== undefined) checkHookscript(call, given["hookscript"]);
  const set = prepareKeys(call, given);
  const removed = remove.map((key) => (key === "cdrom" ? "ide2" : key));
  checkLists(set, removed, revert);
  const printed = Object.keys(given)
    .sort()
    .map((key) => `-${key} ${key === "cipassword" ? "<hidden>" : (given[key] ?? "")}`)
    .concat(remove.length > 0 ? [`-delete ${remove.join(",")}`] : [])
    .join(" ");
  const scope = { vmid: call.vmid };
  checkKeys(call, scope, removed);
  checkKeys(call, scope, Object.keys(set));
  checkDrives(call, scope, set);
  for (const [key, value] of Object.entries(set)) if (isNetKey(key)) checkBridge(call, parseNet(value));
  return {
    set,
    remove: removed,
    revert,
    force: call.flag("force"),
    skiplock: call.flag("skiplock"),
    digest: call.text("digest"),
    printed,
  };
}

function checkLists(set: Readonly<Record<string, string>>, remove: readonly string[], revert: readonly string[]): void {
  for (const key of revert) {
    if (!isOption(key)) refuse({ revert: `unknown option '${key}'` });
    if (set[key] !== undefined) refuse({ delete: `you can't use '-${key}' and -revert ${key}' at the same time` });
  }
  for (const key of remove) {
    if (set[key] !== undefined) refuse({ delete: `you can't use '-${key}' and -delete ${key}' at the same time` });
    if (revert.includes(key)) refuse({ revert: `you can't use '-delete ${key}' and -revert ${key}' at the same time` });
    if (!isOption(key)) refuse({ delete: `unknown option '${key}'` });
  }
}

/** The checks against the guest itself: digest, lock, balloon. Reverts what is taken back. */
export function openChange(call: Call, change: Change): Guest {
  const guest = call.world.findGuest("qemu", call.node, call.vmid);
  call.world.needLock("qemu", guest.vmid);
  if (change.digest !== undefined && change.digest !== "" && change.digest !== call.world.digest(guest, computeDigest))
    fail("checksum mismatch (file change by other user?)");
  const locked = lockedText(guest);
  const onlyState = change.remove.includes("vmstate") && guest.config["lock"] === "suspended";
  if (locked !== undefined && !change.skiplock && !onlyState) fail(locked);
  for (const key of change.revert) revertKey(call, guest, key);
  checkBalloon(guest, change.set);
  return guest;
}

function revertKey(call: Call, guest: Guest, key: string): void {
  const pending = guest.pending[key];
  if (pending !== undefined && isDriveKey(key)) registerUnused(call.world, guest, key, pending);
  delete guest.pending[key];
  delete guest.pendingDelete[key];
  dropUsedUnused(guest);
  call.world.guestChanged(guest);
}

function checkBalloon(guest: Guest, set: Readonly<Record<string, string>>): void {
  if (set["memory"] === undefined && set["balloon"] === undefined) return;
  const memory = set["memory"] ?? guest.pending["memory"] ?? guest.config["memory"] ?? "512";
  const balloon = set["balloon"] ?? guest.pending["balloon"] ?? guest.config["balloon"];
  const size = Number(/^(?:current=)?(\d+)/.exec(memory)?.[1] ?? 512);
  if (balloon !== undefined && Number(balloon) > size)
    fail("balloon value too large (must be smaller than assigned memory)");
}

/** The work itself: into the pending part, then live or cold. @throws 400 where hotplug fails */
export function applyChange(call: Call, guest: Guest, change: Change, log: TaskLog): void {
  const modified = new Set<string>();
  let order = bootOrder(guest.config);
  if (change.remove.includes("boot")) order = [];
  const setOrder = (next: string[]): void => {
    order = next;
    guest.pending["boot"] = printBoot(order);
    delete guest.pendingDelete["boot"];
    modified.add("boot");
  };
  for (const key of withState(guest, change.remove)) {
    const known = guest.config[key] ?? guest.pending[key];
    if (known === undefined) {
      log.warn(`cannot delete '${key}' - not set in current configuration!`);
      continue;
    }
    modified.add(key);
    untorn(guest, () => {
      if (order.includes(key)) setOrder(order.filter((device) => device !== key));
      removeKey(call, guest, { key, value: known, force: change.force });
    });
  }
  for (const [key, value] of Object.entries(change.set)) {
    modified.add(key);
    if (guest.pending[key] === value) continue;
    untorn(guest, () => setKey(call, guest, { key, value, change, log }));
    if (isDriveKey(key) && order.length > 0 && isCdrom(drive(key, value), true) && !order.includes(key))
      setOrder([...order, key]);
    delete guest.pendingDelete[key];
  }
  finish(call, guest, modified);
}

/** Without its saved state a suspended VM is a stopped one: the mark and what belongs to the state go too. */
function withState({ config }: Guest, remove: readonly string[]): readonly string[] {
  if (!remove.includes("vmstate") || config["lock"] !== "suspended") return remove;
  const more = ["lock", ...STATE_KEYS].filter((key) => config[key] !== undefined && !remove.includes(key));
  return [...remove, ...more];
}

/** PVE writes the file after each key: a key that is refused leaves what the keys before it made. */
function untorn(guest: Guest, action: () => void): void {
  const { config, pending, pendingDelete } = guest;
  const before = { config: { ...config }, pending: { ...pending }, pendingDelete: { ...pendingDelete } };
  try {
    action();
  } catch (error) {
    Object.assign(guest, before);
    throw error;
  }
}

interface Removal {
  readonly key: string;
  readonly value: string;
  readonly force: boolean;
}

function removeKey(call: Call, guest: Guest, { key, value, force }: Removal): void {
  const scope = { vmid: guest.vmid };
  const wasPending = guest.pending[key] !== undefined;
  if (isUnusedKey(key)) {
    protect(guest, `can't remove unused disk '${value}'`);
    call.require(`/vms/${guest.vmid}`, ["VM.Config.Disk"]);
    destroyVolume(call, guest, key, value.split(",")[0] ?? "");
    delete guest.config[key];
    return;
  }
  if (key === "vmstate") {
    protect(guest, `can't remove vmstate '${value}'`);
    destroyVolume(call, guest, key, value);
    delete guest.config[key];
    return;
  }
  if (isDriveKey(key)) {
    protect(guest, `can't remove drive '${key}'`);
    checkDriveKind(call, scope, key, value);
    delete guest.pending[key];
    if (wasPending) registerUnused(call.world, guest, key, value);
  } else {
    if (isNetKey(key)) checkBridge(call, parseNet(value));
    else if (key === "tags") checkTags(call, guest.config["tags"], "", `/vms/${guest.vmid}`);
    else checkDevice(call, scope, key, value, "delete");
    delete guest.pending[key];
  }
  if (key === "tags" || key === "cipassword") delete guest.config[key];
  else guest.pendingDelete[key] = force;
}

function protect(guest: Guest, text: string): void {
  if (guest.config["protection"] === "1") fail(`${text} - protection mode enabled`);
}

/** PVE's `try_deallocate_drive`: destroys an own volume that nothing else needs. */
function destroyVolume(call: Call, guest: Guest, key: string, volid: string): void {
  if (!isOwner(call.world, guest, volid)) return;
  call.require(`/storage/${volid.split(":")[0] ?? ""}`, ["Datastore.AllocateSpace"]);
  if (isInUse(guest, key, volid)) fail(`unable to delete '${volid}' - volume is still in use (snapshot?)`);
  freeVolume(call.world, volid, guest.node);
}

interface Setting {
  readonly key: string;
  readonly value: string;
  readonly change: Change;
  readonly log: TaskLog;
}

function setKey(call: Call, guest: Guest, { key, value, change, log }: Setting): void {
  const scope = { vmid: guest.vmid };
  if (isDriveKey(key)) {
    const old = guest.config[key];
    if (old !== undefined) checkDriveKind(call, scope, key, old);
    checkDriveKind(call, scope, key, value);
    const waiting = guest.pending[key];
    if (waiting !== undefined) registerUnused(call.world, guest, key, waiting);
    const config = { ...guest.config, ...guest.pending };
    const work = { world: call.world, node: guest.node, vmid: guest.vmid, config, log };
    Object.assign(guest.pending, createDisks(work, { [key]: value }));
    return;
  }
  if (isNetKey(key)) {
    const old = guest.config[key];
    if (old !== undefined) checkBridge(call, parseNet(old));
    guest.pending[key] = value;
  } else if (key === "tags") {
    checkTags(call, guest.config["tags"], value, `/vms/${guest.vmid}`);
    guest.pending[key] = asLine(cleanTags(call, value));
  } else if (key === "cipassword") {
    guest.config[key] = value;
  } else if (key === "description") setDescription(guest, value);
  else {
    const before = guest.config[key];
    if (before !== undefined) checkDevice(call, scope, key, before, "modify");
    checkDevice(call, scope, key, value, "modify");
    guest.pending[key] = asLine(value);
    if (key === "boot") setBoot(guest, value, change);
  }
}

/** The file keeps a description as comment lines: blanks at its end are lost, and one of blanks alone is none. */
function setDescription(guest: Guest, value: string): void {
  const text = value.trimEnd();
  if (value === "") {
    delete guest.config["description"];
    delete guest.pending["description"];
  } else if (text !== "") guest.pending["description"] = text;
}

function setBoot(guest: Guest, value: string, change: Change): void {
  const order = splitList(/(?:^|,)order=([^,]*)/.exec(value)?.[1] ?? "");
  if (order.length === 0) return;
  for (const device of order) {
    const known = guest.config[device] ?? guest.pending[device] ?? change.set[device];
    if (known === undefined || change.remove.includes(device))
      fail(`invalid bootorder: device '${device}' does not exist'`);
  }
  guest.pending["boot"] = printBoot(order);
  if (guest.config["bootdisk"] !== undefined) guest.pendingDelete["bootdisk"] = false;
}

function finish(call: Call, guest: Guest, modified: Set<string>): void {
  dropUsedUnused(guest);
  cleanPending(guest);
  const destroy = (key: string): void => {
    const parts = drive(key, guest.config[key] ?? "");
    const volid = parts["file"] ?? "";
    if (isCdrom(parts)) registerUnused(call.world, guest, key, guest.config[key] ?? "");
    else destroyVolume(call, guest, key, volid);
  };
  const applying = { world: call.world, guest, destroy };
  const errors = guest.run === undefined ? applyPending(applying) : hotplugPending(applying, modified);
  dropUsedUnused(guest);
  call.world.guestChanged(guest);
  if (Object.keys(errors).length > 0) refuse(errors);
}
