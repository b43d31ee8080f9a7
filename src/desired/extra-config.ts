import type { Kind } from "../model/ref.js";

const VM_FIELDS: Readonly<Record<string, string>> = {
  agent: "spec.agent",
  ciupgrade: "spec.cloudInit.upgrade",
  ciuser: "spec.cloudInit.user",
  cores: "spec.cpu.cores",
  cpu: "spec.cpu.type",
  cpulimit: "spec.cpu.limit",
  cpuunits: "spec.cpu.units",
  description: "spec.description",
  memory: "spec.memory",
  name: "metadata.name",
  nameserver: "spec.cloudInit.nameservers",
  onboot: "spec.onBoot",
  searchdomain: "spec.cloudInit.searchDomain",
  sockets: "spec.cpu.sockets",
  sshkeys: "spec.cloudInit.sshKeys",
  tags: "spec.tags",
};

const CONTAINER_FIELDS: Readonly<Record<string, string>> = {
  cores: "spec.cores",
  description: "spec.description",
  features: "spec.features",
  hostname: "spec.hostname",
  memory: "spec.memory",
  nameserver: "spec.nameservers",
  onboot: "spec.onBoot",
  ostemplate: "spec.from.template",
  rootfs: "spec.rootfs",
  searchdomain: "spec.searchDomain",
  swap: "spec.swap",
  tags: "spec.tags",
  unprivileged: "spec.unprivileged",
};

/** The rest of a sentence about a password that somebody wrote into a manifest. */
export const NO_PASSWORDS =
  "is refused: a password in a manifest can be read by everyone who reads the manifest; use SSH keys or set it in the guest";

/** Keys of calls or of PVE's own bookkeeping: setting them would fail or break what Proxmoor relies on. */
const REFUSED: Readonly<Record<string, string>> = {
  archive: "it restores a backup, which is no part of a configuration",
  delete: "it is no key of a configuration; take the key out of the manifest instead",
  digest: "PVE computes it",
  force: "it is an option of a call, not of a configuration",
  lock: "PVE sets it while a task runs",
  meta: "PVE writes it",
  parent: "PVE writes it",
  pool: "it is no key of a configuration",
  revert: "it is no key of a configuration",
  smbios1: "Proxmoor knows the VM by the uuid in it",
  start: "use spec.power",
  storage: "it is an option of a call; name the storage of every disk",
  template: "a template is no guest that runs; Proxmoor makes guests from it",
  unique: "it is an option of a call, not of a configuration",
  vmgenid: "PVE writes it",
};

/** The field that stands for a PVE key, or undefined where there is none. */
export function fieldOfKey(kind: Kind, key: string): string | undefined {
  const named = kind === "VirtualMachine" ? VM_FIELDS : CONTAINER_FIELDS;
  if (Object.hasOwn(named, key)) return named[key];
  const slot = /^([a-z]+)\d+$/.exec(key)?.[1] ?? "";
  if (key === "vmid" || key === "node") return `spec.${key}`;
  if (slot === "net") return `spec.networks.${key}`;
  if (kind === "Container") return slot === "mp" ? `spec.mounts.${key}` : undefined;
  if (slot === "ipconfig") return `spec.cloudInit.addresses.${key.replace("ipconfig", "net")}`;
  return ["scsi", "virtio", "sata", "ide"].includes(slot) ? `spec.disks.${key}` : undefined;
}

/** Why a PVE key with this value may not stand in extraConfig, as the rest of a sentence; undefined where it may. */
export function refusedExtra(kind: Kind, key: string, value: unknown): string | undefined {
  if (key === "cipassword" || key === "password") return NO_PASSWORDS;
  const reason = Object.hasOwn(REFUSED, key) ? REFUSED[key] : undefined;
  if (reason !== undefined) return `is refused: ${reason}`;
  if (/^unused\d+$/.test(key)) return "is refused: PVE writes it";
  const field = fieldOfKey(kind, key);
  // a CD drive is the one thing in a disk slot that has no field
  if (field?.startsWith("spec.disks.") && isCdDrive(value)) return undefined;
  if (field !== undefined) return `has a field of its own; use ${field}`;
  if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    return "is a number too large to be exact; put it in quotes";
  }
  return typeof value === "string" && /[\r\n]/.test(value) ? "has several lines; allowed: text on one line" : undefined;
}

function isCdDrive(value: unknown): boolean {
  return typeof value === "string" && /(^|,)media=cdrom(,|$)/.test(value) && !value.includes("cloudinit");
}
