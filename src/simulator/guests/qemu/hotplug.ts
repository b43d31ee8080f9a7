import { ApiFault, fail, faultText } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { partsOf } from "../../table/check.js";
import type { World } from "../../world.js";
import { recordCloudInit, writeCloudInit } from "./cloud-init.js";
import { bootDisks, drive, isCdrom, isCloudInit, isDriveKey } from "./drives.js";
import { hotplugFeatures, type Features } from "./features.js";
import { plugMemory } from "./memory.js";
import { isNetKey, parseNet } from "./nets.js";
import { registerUnused } from "./unused.js";

/** Thrown where a key waits for the next start. */
class Waits extends Error {}
const wait = (): never => {
  throw new Waits();
};

/** Keys that never touch the running machine: applied at once, also those of earlier calls. */
const AT_ONCE = new Set(
  (
    "description hookscript lock migrate_downtime migrate_speed name onboot protection shares startup tags vmstatestorage " +
    "ciuser cipassword citype ciupgrade cicustom sshkeys nameserver searchdomain"
  ).split(" "),
);
const isAtOnce = (key: string): boolean => AT_ONCE.has(key) || /^ipconfig\d+$/.test(key);

/** Disk options that the running machine can't change. */
const FIXED_DISK_OPTIONS = ["aio", "discard", "iothread", "queues", "product", "vendor", "cache", "ssd", "ro"];
const FIXED_NET_OPTIONS = ["model", "macaddr", "queues", "mtu", "host-tunnel"];

export interface Applying {
  readonly world: World;
  readonly guest: Guest;
  /** Destroys instead of detaching. @throws where the volume is needed elsewhere */
  readonly destroy: (key: string) => void;
}

/** PVE's `vmconfig_hotplug_pending`. @returns texts for the keys that failed; they stay pending */
export function hotplugPending(applying: Applying, modified: ReadonlySet<string>): Record<string, string> {
  const { guest, world } = applying;
  const errors: Record<string, string> = {};
  for (const key of Object.keys(guest.pending))
    if (isAtOnce(key)) {
      recordCloudInit(guest, key);
      commit(guest, key);
    }
  const features = hotplugFeatures(guest.config["hotplug"]);
  const attempt = (key: string, action: () => void): void => {
    try {
      action();
    } catch (error) {
      if (error instanceof ApiFault && error.status === 403) throw error;
      if (!(error instanceof Waits)) errors[key] = `hotplug problem - ${faultText(error)}\n`;
    }
  };
  for (const key of Object.keys(guest.pendingDelete).sort()) {
    if (!modified.has(key)) continue;
    attempt(key, () => {
      unplug(applying, key, features);
      recordCloudInit(guest, key);
      delete guest.config[key];
      delete guest.pendingDelete[key];
    });
  }
  for (const key of Object.keys(guest.pending)) {
    if (!modified.has(key)) continue;
    attempt(key, () => {
      plug(applying, key, features);
      recordCloudInit(guest, key);
      commit(guest, key);
    });
  }
  if (features.has("cloudinit")) writeCloudInit(world, guest);
  return errors;
}

function commit(guest: Guest, key: string): void {
  const value = guest.pending[key];
  if (value !== undefined) guest.config[key] = value;
  delete guest.pending[key];
}

function unplug({ world, guest, destroy }: Applying, key: string, features: Features): void {
  if (isAtOnce(key) || key === "cpulimit" || key === "cpuunits") return;
  if (key === "hotplug") {
    if (/cpu|memory/.test(guest.config["hotplug"] ?? "")) wait();
  } else if (key === "tablet" || /^usb\d+$/.test(key)) needs(features, "usb");
  else if (key === "vcpus") {
    needs(features, "cpu");
    if (guest.run !== undefined) guest.run.cpus = maxCpus(guest.config);
  } else if (key === "balloon") {
    if (guest.config["balloon"] === "0") wait();
  } else if (isNetKey(key)) needs(features, "network");
  else if (isDriveKey(key)) {
    if (!features.has("disk") || /^(ide|sata|efidisk|tpmstate)\d+$/.test(key)) wait();
    if (bootDisks(guest.config).includes(key)) fail(`can't unplug bootdisk '${key}'`);
    detach({ world, guest, destroy }, key);
  } else if (key === "memory") {
    needs(features, "memory");
    plugMemory(guest.config["memory"], undefined);
  } else wait();
}

const needs = (features: Features, feature: string): void => {
  if (!features.has(feature)) wait();
};

function plug(applying: Applying, key: string, features: Features): void {
  const { guest } = applying;
  const value = guest.pending[key] ?? "";
  if (key === "hotplug") {
    if (/memory|cpu/.test(value) || /memory|cpu/.test(guest.config["hotplug"] ?? "")) wait();
  } else if (key === "tablet") needs(features, "usb");
  else if (/^usb\d+$/.test(key)) {
    needs(features, "usb");
    if (!/^(l26|win8|win10|win11)$/.test(guest.config["ostype"] ?? "")) wait();
  } else if (key === "vcpus") plugCpus(guest, value, features);
  else if (key === "balloon") {
    if ((guest.config["balloon"] === "0") !== (value === "0")) wait();
  } else if (isNetKey(key)) plugNet(guest, key, features);
  else if (isDriveKey(key)) plugDisk(applying, key, features);
  else if (key === "memory") {
    needs(features, "memory");
    guest.pending["memory"] = String(plugMemory(guest.config["memory"], value));
  } else if (key === "agent") plugAgent(guest, value);
  else if (key !== "cpuunits" && key !== "cpulimit") wait();
}

export const maxCpus = (config: Readonly<Record<string, string>>): number =>
  Number(config["sockets"] ?? 1) * Number(config["cores"] ?? 1);

function plugCpus(guest: Guest, value: string, features: Features): void {
  needs(features, "cpu");
  if (Number(value) > maxCpus(guest.config)) fail("you can't add more vcpus than maxcpus");
  if (guest.run !== undefined) guest.run.cpus = Number(value);
}

function plugAgent(guest: Guest, value: string): void {
  const before = guest.config["agent"];
  if (before === undefined) wait();
  const rest = (text: string): string => {
    const { fstrim_cloned_disks: _free, ...others } = partsOf(text, "agent");
    return JSON.stringify(Object.entries(others).sort());
  };
  if (rest(before ?? "") !== rest(value)) wait();
}

function plugNet(guest: Guest, key: string, features: Features): void {
  const before = guest.config[key];
  if (before === undefined) {
    needs(features, "network");
    return;
  }
  const [old, next] = [parseNet(before), parseNet(guest.pending[key] ?? "")];
  const replug =
    FIXED_NET_OPTIONS.some((option) => old[option]?.toLowerCase() !== next[option]?.toLowerCase()) ||
    (old["bridge"] === undefined) !== (next["bridge"] === undefined);
  if (replug) needs(features, "network");
}

function plugDisk(applying: Applying, key: string, features: Features): void {
  const { world, guest } = applying;
  if (key === "efidisk0" || key === "tpmstate0") wait();
  const value = guest.pending[key] ?? "";
  const next = drive(key, value);
  const before = guest.config[key];
  if (before !== undefined) {
    const old = drive(key, before);
    if ((next["media"] ?? "disk") !== (old["media"] ?? "disk")) fail("unable to change media type");
    if (isCdrom(old)) {
      if (next["file"] === "none" && isCloudInit(old)) registerUnused(world, guest, key, before);
      if (isCloudInit(next)) writeCloudInit(world, guest);
      return;
    }
    if (next["file"] === old["file"]) {
      if (FIXED_DISK_OPTIONS.some((option) => old[option] !== next[option])) wait();
      return;
    }
    if (!features.has("disk")) wait();
    registerUnused(world, guest, key, before);
  }
  if (!features.has("disk") || /^(ide|sata)\d+$/.test(key)) wait();
  if (isCloudInit(next)) writeCloudInit(world, { ...guest, config: { ...guest.config, [key]: value } });
}

/** PVE's `vmconfig_delete_or_detach_drive`. */
function detach({ world, guest, destroy }: Applying, key: string): void {
  if (guest.pendingDelete[key] === true) destroy(key);
  else registerUnused(world, guest, key, guest.config[key] ?? "");
}

/** PVE's `vmconfig_apply_pending`: a stopped machine takes everything. @returns texts for what failed */
export function applyPending(applying: Applying, cloudInit = true): Record<string, string> {
  const { world, guest } = applying;
  const errors: Record<string, string> = {};
  for (const key of Object.keys(guest.pendingDelete).sort()) {
    try {
      if (guest.config[key] !== undefined && isDriveKey(key)) detach(applying, key);
      delete guest.config[key];
      delete guest.pendingDelete[key];
    } catch (error) {
      errors[key] = `unable to apply pending change ${key} : ${faultText(error)}\n`;
    }
  }
  let newDrive = false;
  for (const [key, value] of Object.entries(guest.pending)) {
    if (guest.config[key] === value) {
      delete guest.pending[key];
      continue;
    }
    if (isDriveKey(key)) {
      const old = guest.config[key];
      if (old !== undefined && drive(key, old)["file"] !== drive(key, value)["file"])
        registerUnused(world, guest, key, old);
      newDrive ||= isCloudInit(drive(key, value));
    }
    commit(guest, key);
  }
  if (newDrive && cloudInit) writeCloudInit(world, guest);
  return errors;
}
