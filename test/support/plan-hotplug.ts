import type { Kind } from "../../src/model/ref.js";

/*
 * BEHAVIOUR section 1 once more, by PVE's keys and written independently of src/plan/rules.ts, so that a wrong effect
 * shows as a plan that says "live" where PVE lets the change wait, or the other way round.
 */

const VM_LIVE =
  /^(description|hookscript|lock|migrate_downtime|migrate_speed|name|onboot|protection|shares|startup|tags|vmstatestorage|ciuser|cipassword|citype|ciupgrade|cicustom|sshkeys|nameserver|searchdomain|ipconfig\d+|cpuunits|cpulimit)$/;
const CT_LIVE =
  /^(description|onboot|startup|protection|hostname|hookscript|cores|tags|lock|cpulimit|cpuunits|memory|swap|net\d+)$/;
const DISK_WAITS = ["aio", "discard", "iothread", "queues", "product", "vendor", "cache", "ssd", "ro"];
const NET_REPLUGS = ["macaddr", "queues", "mtu"];
const NET_MODEL = /^(virtio|e1000|rtl8139|vmxnet3)(=|$)/;

export interface KeyChange {
  readonly kind: Kind;
  readonly key: string;
  readonly from: string | undefined;
  /** undefined: the key is deleted. */
  readonly to: string | undefined;
  /** The current value of `hotplug`. */
  readonly hotplug: string | undefined;
}

/** Whether PVE makes this change of a running guest's key at once. */
export function isLive(change: KeyChange): boolean {
  const { kind, key, from, to } = change;
  if (kind === "Container") return CT_LIVE.test(key) || (/^(mp|dev)\d+$/.test(key) && from === undefined);
  if (VM_LIVE.test(key)) return true;
  const features = (change.hotplug ?? "1") === "1" ? "network,disk,usb" : (change.hotplug ?? "");
  const has = (feature: string) => features.split(/[;, ]/).includes(feature);
  if (key === "hotplug") return ![from, to].some((value) => /cpu|memory/.test(value ?? ""));
  if (key === "vcpus") return has("cpu");
  if (key === "memory") return has("memory");
  if (key === "balloon") return from !== "0" && to !== "0";
  if (key === "tablet") return has("usb");
  if (/^net\d+$/.test(key)) return isLiveNet(from, to) || has("network");
  if (/^(scsi|virtio|ide|sata)\d+$/.test(key)) return isLiveDrive(change, has("disk"));
  return false;
}

function isLiveNet(from: string | undefined, to: string | undefined): boolean {
  if (from === undefined || to === undefined) return false;
  const [a, b] = [options(from, "model"), options(to, "model")];
  const replugs = NET_REPLUGS.some((name) => a.get(name) !== b.get(name)) || modelOf(from) !== modelOf(to);
  return !replugs && a.has("bridge") === b.has("bridge");
}

function modelOf(net: string): string | undefined {
  return net.split(",").find((part) => NET_MODEL.test(part));
}

function isLiveDrive({ key, from, to }: KeyChange, hotplugsDisks: boolean): boolean {
  if (from === undefined || to === undefined) return hotplugsDisks && /^(scsi|virtio)/.test(key);
  if (/media=cdrom/.test(from) && /media=cdrom/.test(to)) return true;
  const [a, b] = [options(from, "file"), options(to, "file")];
  return DISK_WAITS.every((name) => a.get(name) === b.get(name));
}

/** The options of a property string. */
export function options(text: string, defaultKey: string): Map<string, string> {
  const parts = text.split(",").map((part) => (part.includes("=") ? part : `${defaultKey}=${part}`));
  return new Map(parts.map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]));
}
