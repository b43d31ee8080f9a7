import type { FieldValue } from "../desired/types.js";
import type { Kind } from "../model/ref.js";
import type { ObservedGuest } from "../observed/types.js";
import type { Effect } from "./types.js";

/** How PVE treats one field: what counts when it is not set, and what a change does to a running guest. */
interface FieldRule {
  /** PVE's default; undefined where there is none (a generated MAC, all cores of the node). */
  readonly default?: FieldValue;
  /** `to` is undefined where the field, or the device, goes. */
  readonly effect: Effect | ((guest: ObservedGuest, to: FieldValue | undefined) => Effect);
  /** Taking the field out of the manifest changes nothing (PVE generated it, or it can't be unset). */
  readonly sticky?: boolean;
}

const MIB = 2 ** 20;

/**
 * The features of `hotplug`: unset or `1` are network,disk,usb, `0` is none (BEHAVIOUR section 1). What counts is the
 * current value; while another one is pending the current one is not known, and none is counted on.
 */
function hotplugs(guest: ObservedGuest, feature: string): boolean {
  if (guest.pending["hotplug"] !== undefined) return false;
  const value = guest.config["hotplug"] ?? "1";
  const features = value === "1" ? "network,disk,usb" : value;
  return features.split(/[,; ]/).includes(feature);
}

const withHotplug =
  (feature: string) =>
  (guest: ObservedGuest): Effect =>
    hotplugs(guest, feature) ? "live" : "restart";

/** A new or removed disk is hotplugged on scsi and virtio only; ide and sata always wait. */
const diskPlug = (slot: string) => (/^(scsi|virtio)/.test(slot) ? withHotplug("disk") : "restart");

/** Ballooning is switched on and off with the next start; its target changes at once. */
function balloonEffect(guest: ObservedGuest, to: FieldValue | undefined): Effect {
  return guest.config["balloon"] !== "0" && to !== "0" && guest.pending["balloon"] === undefined ? "live" : "restart";
}

function hotplugEffect(guest: ObservedGuest, to: FieldValue | undefined): Effect {
  const waits = [guest.config["hotplug"], to].some((value) => /cpu|memory/.test(String(value)));
  return waits || guest.pending["hotplug"] !== undefined ? "restart" : "live";
}

/** The medium of a CD drive changes at once on any bus; the drive itself comes and goes like a disk. */
const cdEffect =
  (slot: string) =>
  (guest: ObservedGuest, to: FieldValue | undefined): Effect => {
    if (guest.config[slot] !== undefined && to !== undefined) return "live";
    return slot.startsWith("scsi") && hotplugs(guest, "disk") ? "live" : "restart";
  };

// Keys that are always live on a running VM, from the first row of BEHAVIOUR section 1; all others wait.
const LIVE_VM_KEYS =
  /^(description|hookscript|lock|migrate_downtime|migrate_speed|name|onboot|protection|shares|startup|tags|vmstatestorage|ciuser|citype|ciupgrade|cicustom|sshkeys|nameserver|searchdomain|ipconfig\d+|cpuunits|cpulimit)$/;
const LIVE_CT_KEYS = /^(description|onboot|startup|protection|hostname|hookscript|cores|tags|lock|cpulimit|cpuunits)$/;

type RuleTable = readonly (readonly [RegExp, FieldRule | ((match: RegExpExecArray) => FieldRule)])[];

const SHARED: RuleTable = [
  [/^description$/, { default: "", effect: "live" }],
  [/^tags$/, { default: [], effect: "live" }],
  [/^onBoot$/, { default: false, effect: "live" }],
];

const VM: RuleTable = [
  ...SHARED,
  [/^name$/, { effect: "live", sticky: true }],
  [/^cpu\.cores$/, { default: 1, effect: "restart" }],
  [/^cpu\.sockets$/, { default: 1, effect: "restart" }],
  [/^cpu\.type$/, { default: "kvm64", effect: "restart" }],
  [/^cpu\.limit$/, { default: 0, effect: "live" }],
  [/^cpu\.units$/, { default: 100, effect: "live" }],
  [/^memory$/, { default: 512 * MIB, effect: withHotplug("memory") }],
  [/^agent$/, { default: false, effect: "restart" }],
  [/^disks\.([a-z]+\d+)$/, (m) => ({ effect: diskPlug(m[1] ?? "") })],
  [/^disks\.[a-z]+\d+\.(storage|format)$/, { effect: "stop", sticky: true }],
  [/^disks\.[a-z]+\d+\.size$/, { effect: "live", sticky: true }],
  [/^disks\.[a-z]+\d+\.cache$/, { default: "none", effect: "restart" }],
  [/^disks\.[a-z]+\d+\.aio$/, { effect: "restart" }],
  [/^disks\.[a-z]+\d+\.(discard|ssd|iothread|readOnly)$/, { default: false, effect: "restart" }],
  [/^disks\.[a-z]+\d+\.(backup|replicate)$/, { default: true, effect: "live" }],
  [/^disks\.[a-z]+\d+\.serial$/, { effect: "live" }],
  [/^networks\.net\d+$/, { effect: withHotplug("network") }],
  [/^networks\.net\d+\.model$/, { default: "virtio", effect: withHotplug("network") }],
  [/^networks\.net\d+\.mac$/, { effect: withHotplug("network"), sticky: true }],
  [/^networks\.net\d+\.(queues|mtu)$/, { effect: withHotplug("network") }],
  [/^networks\.net\d+\.(bridge|vlan|rate)$/, { effect: "live" }],
  [/^networks\.net\d+\.(firewall|linkDown)$/, { default: false, effect: "live" }],
  // the drive itself is a CD-ROM: on ide and sata it appears with the next start
  [/^cloudInit\.storage$/, { effect: "restart", sticky: true }],
  [/^cloudInit\.upgrade$/, { default: true, effect: "live" }],
  [/^cloudInit\.(sshKeys|nameservers)$/, { default: [], effect: "live" }],
  [/^cloudInit\./, { effect: "live" }],
  [/^extraConfig\.((?:ide|sata|scsi)\d+)$/, (m) => ({ effect: cdEffect(m[1] ?? "") })],
  [/^extraConfig\.balloon$/, { effect: balloonEffect }],
  [/^extraConfig\.hotplug$/, { effect: hotplugEffect }],
  [/^extraConfig\.tablet$/, { effect: withHotplug("usb") }],
  [/^extraConfig\.vcpus$/, { effect: withHotplug("cpu") }],
  [/^extraConfig\.(.+)$/, (m) => ({ effect: LIVE_VM_KEYS.test(m[1] ?? "") ? "live" : "restart" })],
];

/** Device nodes of a container: new ones at once, changed and removed ones with the next start. */
const newIsLive =
  (key: string) =>
  (guest: ObservedGuest, to: FieldValue | undefined): Effect =>
    guest.config[key] === undefined && guest.pending[key] === undefined && to !== undefined ? "live" : "restart";

const CONTAINER: RuleTable = [
  ...SHARED,
  [/^hostname$/, { effect: "live", sticky: true }],
  [/^cores$/, { effect: "live" }],
  [/^(memory|swap)$/, { default: 512 * MIB, effect: "live" }],
  [/^rootfs\.storage$/, { effect: "stop", sticky: true }],
  [/^rootfs\.size$/, { effect: "live", sticky: true }],
  [/^rootfs\.readOnly$/, { default: false, effect: "restart" }],
  [/^rootfs\.replicate$/, { default: true, effect: "restart" }],
  // a new mount is there at once, one that goes stays until the next start
  [/^mounts\.mp\d+$/, { effect: (_guest, to) => (to === undefined ? "restart" : "live") }],
  [/^mounts\.mp\d+\.(storage|source)$/, { effect: "stop", sticky: true }],
  [/^mounts\.mp\d+\.size$/, { effect: "live", sticky: true }],
  [/^mounts\.mp\d+\.replicate$/, { default: true, effect: "restart" }],
  [/^mounts\.mp\d+\.(backup|readOnly)$/, { default: false, effect: "restart" }],
  [/^mounts\.mp\d+\.path$/, { effect: "restart", sticky: true }],
  [/^networks\.net\d+\.mac$/, { effect: "live", sticky: true }],
  [/^networks\.net\d+\.name$/, { effect: "live", sticky: true }],
  [/^networks\.net\d+\.(firewall|linkDown)$/, { default: false, effect: "live" }],
  [/^networks\.net\d+(\..+)?$/, { effect: "live" }],
  [/^features\./, { default: false, effect: "restart" }],
  // read-only after creation (BEHAVIOUR section 1): only a new container can have another value
  [/^unprivileged$/, { default: true, effect: "replace", sticky: true }],
  [/^nameservers$/, { default: [], effect: "restart" }],
  [/^searchDomain$/, { effect: "restart" }],
  [/^extraConfig\.(dev\d+)$/, (m) => ({ effect: newIsLive(m[1] ?? "") })],
  [/^extraConfig\.(.+)$/, (m) => ({ effect: LIVE_CT_KEYS.test(m[1] ?? "") ? "live" : "restart" })],
];

function ruleFor(kind: Kind, path: string): FieldRule {
  for (const [pattern, rule] of kind === "VirtualMachine" ? VM : CONTAINER) {
    const match = pattern.exec(path);
    if (match) return typeof rule === "function" ? rule(match) : rule;
  }
  return { effect: "restart" };
}

/** The value that counts when the field is not set. */
export function defaultOf(kind: Kind, path: string): FieldValue | undefined {
  return ruleFor(kind, path).default;
}

/** True where taking the field out of a manifest leaves the value as it is. */
export function isSticky(kind: Kind, path: string): boolean {
  return ruleFor(kind, path).sticky === true;
}

/**
 * What changing the field to this value (undefined: taking it out) does to this guest now, as PVE's hotplug rules
 * have it (BEHAVIOUR section 1). A guest of unknown status may run.
 */
export function effectOf(guest: ObservedGuest, path: string, to: FieldValue | undefined): Effect {
  const rule = ruleFor(guest.kind, path);
  const effect = typeof rule.effect === "function" ? rule.effect(guest, to) : rule.effect;
  if (effect === "replace" || effect === "stop") return effect;
  return guest.status === "stopped" ? "live" : effect;
}
