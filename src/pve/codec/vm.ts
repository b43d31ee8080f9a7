import { PropertyString } from "./property-string.js";
import { join, properties, single, slotted } from "./spec.js";
import type { GroupSpec, KindSpec, OptionSpec } from "./spec.js";
import { bool, list, mac, mebibytes, number, onOrIgnore, sshKeys, tags, text } from "./values.js";

const NET_MODELS = new Set(
  (
    "e1000 e1000-82540em e1000-82544gc e1000-82545em e1000e i82551 i82557b i82559er ne2k_isa ne2k_pci pcnet " +
    "rtl8139 virtio vmxnet3"
  ).split(" "),
);

/** The keys that hold a drive; which of them are disks depends on their value. */
export const DRIVE_KEY = /^(scsi([12]?\d|30)|virtio(\d|1[0-5])|sata[0-5]|ide[0-3])$/;

/** `virtio=AA:BB…,bridge=…` has its model as a key; inside it is `model` and `macaddr` [qemuconfig/net.model-keys]. */
function parseNet(value: string): PropertyString {
  const options = PropertyString.parse(value, "model");
  const alias = options.entries().find(([key]) => NET_MODELS.has(key));
  if (alias) {
    options.delete(alias[0]);
    options.set("model", alias[0]);
    options.set("macaddr", alias[1]);
  }
  return options;
}

function printNet(options: PropertyString): string {
  const model = options.get("model") ?? "virtio";
  const address = options.get("macaddr");
  const rest = options.entries().filter(([key]) => key !== "model" && key !== "macaddr");
  return [address === undefined ? model : `${model}=${address}`, ...rest.map(([key, value]) => `${key}=${value}`)].join(
    ",",
  );
}

const DISK_OPTIONS: readonly OptionSpec[] = [
  { field: "cache", option: "cache", codec: text },
  { field: "aio", option: "aio", codec: text },
  { field: "discard", option: "discard", codec: onOrIgnore },
  { field: "ssd", option: "ssd", codec: bool },
  { field: "iothread", option: "iothread", codec: bool },
  { field: "backup", option: "backup", codec: bool },
  { field: "replicate", option: "replicate", codec: bool },
  { field: "readOnly", option: "ro", codec: bool },
  { field: "serial", option: "serial", codec: text },
];

/** What the volume of a drive says it is. */
export function driveUse(value: string): "disk" | "cdrom" | "cloudinit" {
  const options = PropertyString.parse(value, "file");
  const file = options.get("file") ?? "";
  if (/:cloudinit$|[:/]vm-\d+-cloudinit(\.|$)/.test(file)) return "cloudinit";
  return options.get("media") === "cdrom" || file === "none" || file === "cdrom" ? "cdrom" : "disk";
}

const DISKS: GroupSpec = {
  ...slotted("disks", DRIVE_KEY),
  ...properties("file"),
  options: DISK_OPTIONS,
  volume: "file",
};

const NETWORKS: GroupSpec = {
  ...slotted("networks", /^net([12]?\d|3[01])$/),
  parse: parseNet,
  print: printNet,
  options: [
    { field: "model", option: "model", codec: text },
    { field: "bridge", option: "bridge", codec: text },
    { field: "vlan", option: "tag", codec: number },
    { field: "mac", option: "macaddr", codec: mac },
    { field: "firewall", option: "firewall", codec: bool },
    { field: "rate", option: "rate", codec: number },
    { field: "mtu", option: "mtu", codec: number },
    { field: "queues", option: "queues", codec: number },
    { field: "linkDown", option: "link_down", codec: bool },
  ],
  initial: () => ({ model: "virtio" }),
  required: { option: "model", fallback: "virtio" },
};

const ADDRESSES: GroupSpec = {
  ...slotted("cloudInit.addresses", /^net([12]?\d|3[01])$/, ["net", "ipconfig"]),
  ...properties(),
  options: [
    { field: "ipv4", option: "ip", codec: text },
    { field: "gateway", option: "gw", codec: text },
    { field: "ipv6", option: "ip6", codec: text },
    { field: "gateway6", option: "gw6", codec: text },
  ],
};

/** How a VM's configuration stands in fields. Drives that are no disks are left to decode.ts and encode.ts. */
export const VM_SPEC: KindSpec = {
  scalars: [
    { path: "name", key: "name", codec: text },
    { path: "cpu.sockets", key: "sockets", codec: number },
    { path: "cpu.cores", key: "cores", codec: number },
    { path: "cpu.limit", key: "cpulimit", codec: number },
    { path: "cpu.units", key: "cpuunits", codec: number },
    { path: "onBoot", key: "onboot", codec: bool },
    { path: "tags", key: "tags", codec: tags },
    { path: "cloudInit.user", key: "ciuser", codec: text },
    { path: "cloudInit.sshKeys", key: "sshkeys", codec: sshKeys },
    { path: "cloudInit.nameservers", key: "nameserver", codec: list },
    { path: "cloudInit.searchDomain", key: "searchdomain", codec: text },
    { path: "cloudInit.upgrade", key: "ciupgrade", codec: bool },
  ],
  groups: [
    {
      ...single("cpu", "cpu"),
      ...properties("cputype"),
      options: [{ field: "type", option: "cputype", codec: text }],
      // "CPU is missing cputype" [qemuconfig/value.cpu-empty]; kvm64 is PVE's default
      required: { option: "cputype", fallback: "kvm64" },
    },
    {
      ...single("memory", "memory"),
      ...properties("current"),
      options: [{ field: "", option: "current", codec: mebibytes }],
    },
    {
      ...single("agent", "agent"),
      ...properties("enabled"),
      options: [{ field: "", option: "enabled", codec: bool }],
      // "agent.enabled: property is missing and it is not optional" [qemuconfig/value.agent-type-only]
      required: { option: "enabled", fallback: "0" },
    },
    DISKS,
    NETWORKS,
    ADDRESSES,
  ],
};

/** The field that names the storage of the cloud-init drive, whichever slot the drive is in. */
export const CLOUD_INIT_STORAGE = join("cloudInit", "storage");
