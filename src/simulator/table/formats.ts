import { isIP, isIPv4, isIPv6 } from "node:net";
import { parseCalendar } from "./calendar.js";
import { CPU_MODELS } from "./cpu-models.js";

/** A named check: the text PVE refuses the value with (without its line feed), undefined when it is fine. */
type Check = (value: string) => string | undefined;

const matches =
  (pattern: RegExp, text: string | ((value: string) => string)): Check =>
  (value) =>
    pattern.test(value) ? undefined : typeof text === "string" ? text : text(value);

const either =
  (test: (value: string) => boolean, text: string): Check =>
  (value) =>
    test(value) ? undefined : text;

const DNS_NAME = /^([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/;
const VOLUME_ID = /^([a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]):(.+)$/;
const DISK_KEY = /^((ide[0-3])|(sata[0-5])|(scsi([0-9]|[12][0-9]|30))|(virtio([0-9]|1[0-5]))|efidisk0|tpmstate0)$/;
const STARTUP = /^(order=)?\d+$|^(order|up|down)=\d+$/;
const UNICAST_MAC = /^[a-f0-9][02468ace](:[a-f0-9]{2}){5}$/i;
const HOTPLUG = /^(network|disk|cpu|memory|usb|cloudinit)$/;
const CONTENT_TYPES = new Set(["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "none", "import"]);
const TASK_STATUS = new Set(["ok", "error", "warning", "unknown"]);

const cidr = (value: string, versions: readonly (4 | 6)[]): boolean => {
  const found = /^([^/]+)\/(\d{1,3})$/.exec(value);
  if (found === null) return false;
  const bits = Number(found[2]);
  if (versions.includes(4) && isIPv4(found[1] ?? "")) return bits >= 8 && bits <= 32;
  return versions.includes(6) && isIPv6(found[1] ?? "") && bits >= 8 && bits <= 128;
};

const volumeId: Check = (value) => {
  if (value.startsWith("iscsi:")) return undefined;
  return VOLUME_ID.test(value) ? undefined : `unable to parse volume ID '${value}'`;
};

function storageId(value: string): string | undefined {
  if (value.length < 2) return `storage ID '${value}' cannot be shorter than 2 characters`;
  return /^[a-z][a-z0-9\-_.]*[a-z0-9]$/i.test(value) ? undefined : `storage ID '${value}' contains illegal characters`;
}

function poolId(value: string): string | undefined {
  const parts = value.split("/");
  if (parts.length > 3) return `pool name '${value}' nested too deeply (max levels = 3)`;
  return parts.every((part) => /^[A-Za-z0-9.\-_]+$/.test(part))
    ? undefined
    : `pool name '${value}' contains invalid characters`;
}

/** The rule of qemu-server's `parse_hotplug_features`. */
function hotplug(value: string): string | undefined {
  if (value === "0" || value === "1") return undefined;
  const wrong = value.split(/[,;\s]+/).find((feature) => feature !== "" && !HOTPLUG.test(feature));
  return wrong === undefined ? undefined : `invalid hotplug feature '${wrong}'`;
}

function networkConfig(value: string, version: 4 | 6): string | undefined {
  const words = version === 4 ? ["dhcp", "manual"] : ["auto", "dhcp", "manual"];
  const text = `value does not look like a valid ipv${version} network configuration`;
  return words.includes(value) || cidr(value, [version]) ? undefined : text;
}

function startup(value: string): string | undefined {
  const parts = value.split(",").filter((part) => !/^\s*$/.test(part));
  return parts.every((part) => STARTUP.test(part)) ? undefined : "unable to parse startup options";
}

function lxcMountPath(value: string): string | undefined {
  return /\/\.\.?\/|\/\.\.?$|^\.\.\//.test(value) ? `${value} contains illegal character sequences` : undefined;
}

/** The model must be one of QEMU's own; custom ones would need a file that the simulator does not have. */
export function cpuModelFault(model: string | undefined): string | undefined {
  if (model === undefined || model === "") return "CPU is missing cputype";
  if (model.startsWith("custom-")) return `Custom cputype '${model.slice(7)}' not found`;
  return CPU_MODELS.has(model)
    ? undefined
    : `Built-in cputype '${model}' is not defined (missing 'custom-' prefix?)`;
}

const AT_NODES = "at /usr/share/perl5/PVE/API2/Nodes.pm line 99.";

/** What Perl's JSON parser says of a text that it can't read, for the cases that are told apart easily. */
function jsonFault(text: string): string {
  const offset = text.length - text.trimStart().length;
  const rest = text.slice(offset);
  if (/^\{\s*$/.test(rest))
    return `'"' expected, at character offset ${text.length} (before "(end of string)")`;
  const shown = rest === "" ? "(end of string)" : rest;
  return `malformed JSON string, neither tag, array, object, number, string or atom, at character offset ${offset} (before "${shown}")`;
}

function commandBatch(value: string): string | undefined {
  try {
    return Array.isArray(JSON.parse(value)) ? undefined : `commands is not an array ${AT_NODES}`;
  } catch {
    return `commands param did not contain valid JSON: ${jsonFault(value)} ${AT_NODES}`;
  }
}

const configId: Check = matches(/^[a-z][a-z0-9_-]+$/i, (value) => `invalid configuration ID '${value}'`);
const userId: Check = (value) =>
  /^[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+$/.test(value)
    ? undefined
    : `value '${value}' does not look like a valid user name`;

/** The checks that PVE makes by a function, by the name in the schema. */
export const FORMATS: Readonly<Record<string, Check>> = {
  CIDR: either((v) => cidr(v, [4, 6]), "value does not look like a valid CIDR network"),
  CIDRv4: either((v) => cidr(v, [4]), "value does not look like a valid IPv4 CIDR network"),
  CIDRv6: either((v) => cidr(v, [6]), "value does not look like a valid IPv6 CIDR network"),
  IPorCIDR: either((v) => isIP(v) !== 0 || cidr(v, [4, 6]), "value does not look like a valid IP address or CIDR network"),
  address: (value) =>
    isIP(value) !== 0 || DNS_NAME.test(value) ? undefined : `value does not look like a valid address: ${value}`,
  "disk-size": (value) =>
    /^\d+(\.\d+)?[KMGT]?$/.test(value) ? undefined : `value does not look like a valid disk size: ${value}`,
  "dns-name": matches(DNS_NAME, "value does not look like a valid DNS name"),
  email: matches(/^[^\s@]+@[^\s@]+$/, "value does not look like a valid email address"),
  "email-or-username": either(
    (v) => /^[^\s@]+@[^\s@]+$/.test(v) || userId(v) === undefined,
    "value does not look like a valid email address or user name",
  ),
  ip: either((v) => isIP(v) !== 0, "value does not look like a valid IP address"),
  ipv4: either(isIPv4, "value does not look like a valid IPv4 address"),
  ipv6: either(isIPv6, "value does not look like a valid IPv6 address"),
  ipv4mask: matches(/^255(\.\d{1,3}){3}$|^\d{1,2}$/, "value does not look like a valid IP netmask"),
  "lxc-ip-with-ll-iface": either((v) => isIP(v.replace(/%.*$/, "")) !== 0, "value does not look like a valid IP address"),
  "mac-addr": matches(UNICAST_MAC, "value does not look like a valid unicast MAC address"),
  "mac-prefix": matches(/^[a-f0-9][02468ace](:[a-f0-9]{2}){0,4}:?$/i, "value is not a valid unicast MAC address prefix"),
  "pve-bridge-id": matches(/^[-_.\w\d]+$/, (value) => `invalid bridge ID '${value}'`),
  "pve-calendar-event": (value) => {
    const parsed = parseCalendar(value);
    return typeof parsed === "string"
      ? `invalid calendar event '${value}' - unable to parse calendar event at '${parsed}'\n`
      : undefined;
  },
  "pve-command-batch": commandBatch,
  "pve-configid": configId,
  "pve-cpuset": matches(/^\d+(-\d+)?(,\d+(-\d+)?)*$/, "unable to parse cpuset option"),
  "pve-ct-timezone": (value) =>
    value === "host" || validTimeZone(value) ? undefined : `invalid time zone '${value}'`,
  "pve-day-of-week": matches(/^(mon|tue|wed|thu|fri|sat|sun)$/i, (value) => `invalid day '${value}'`),
  "pve-groupid": matches(/^[A-Za-z0-9.\-_]+$/, (value) => `group name '${value}' contains invalid characters`),
  "pve-ha-resource-or-vm-id": matches(/^(vm:|ct:)?\d+$/, "value does not look like a valid ha resource id"),
  "pve-ha-resource-id": matches(/^(vm|ct):\d+$/, "value does not look like a valid ha resource id"),
  "pve-ha-node": matches(/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(:\d+)?$/, "value does not look like a valid ha group node"),
  "pve-hotplug-features": hotplug,
  "pve-iface": matches(/^[a-z][a-z0-9_]{1,20}([:.]\d+)?$/i, (value) => `invalid network interface name '${value}'`),
  "pve-ipv4-config": (value) => networkConfig(value, 4),
  "pve-ipv6-config": (value) => networkConfig(value, 6),
  "pve-lxc-dev-string": (value) =>
    /(^|\/)\.\.?(\/|$)/.test(value) || !value.startsWith("/dev/") ? `${value} is not a valid device path` : undefined,
  "pve-lxc-mp-string": lxcMountPath,
  "pve-node": matches(/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/, "value does not look like a valid node name"),
  "pve-phys-bits": either(
    (v) => v === "host" || (/^\d+$/.test(v) && Number(v) >= 8 && Number(v) <= 64),
    "value must be an integer between 8 and 64 or 'host'",
  ),
  "pve-poolid": poolId,
  "pve-priv": (value) =>
    PRIVILEGE_NAME.test(value) ? undefined : `invalid privilege '${value}'`,
  "pve-qm-bootdev": (value) =>
    DISK_KEY.test(value) || /^(net([0-9]|[12][0-9]|3[01])|usb([0-9]|1[0-3])|hostpci([0-9]|1[0-5]))$/.test(value)
      ? undefined
      : `invalid boot device '${value}'`,
  "pve-qm-bootdisk": matches(DISK_KEY, (value) => `invalid boot disk '${value}'`),
  "pve-realm": matches(/^[A-Za-z][A-Za-z0-9.\-_]+$/, "value does not look like a valid realm"),
  "pve-roleid": matches(/^[A-Za-z0-9.\-_]+$/, (value) => `role name '${value}' contains invalid characters`),
  "pve-startup-order": startup,
  "pve-storage-content": (value) => (CONTENT_TYPES.has(value) ? undefined : `invalid content type '${value}'`),
  "pve-storage-id": storageId,
  "pve-dir-override": matches(/^[a-z]+=[^,]+$/, (value) => `invalid override '${value}'`),
  "pve-storage-options": matches(/^\S+$/, (value) => `invalid options '${value}'`),
  "pve-storage-path-in-property-string": matches(/^\/[^;,]*$/, "value does not look like a valid absolute path"),
  "pve-storage-portal-dns": matches(
    /^(\[[0-9a-f:.]+\]|[^\s:]+)(:\d+)?$/i,
    "value does not look like a valid portal address",
  ),
  "pve-storage-server": either(
    (v) => isIP(v) !== 0 || DNS_NAME.test(v),
    "value does not look like a valid server name or IP address",
  ),
  "pve-storage-vgname": matches(
    /^[a-z0-9][a-z0-9\-_.]*[a-z0-9]$/i,
    (value) => `lvm name '${value}' contains illegal characters`,
  ),
  "pve-storage-path": matches(/^\/.*$/, "value does not look like a valid absolute path"),
  "pve-tag": matches(/^[a-z0-9_][a-z0-9_\-+.]*$/i, "invalid characters in tag"),
  "pve-task-status-type": (value) => (TASK_STATUS.has(value) ? undefined : `invalid status '${value}'`),
  "pve-tokenid": matches(
    /^[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+$/,
    (value) => `value '${value}' does not look like a valid token ID`,
  ),
  "pve-userid": userId,
  "pve-vlan-id-or-range": matches(/^\d+(-\d+)?$/, "invalid VLAN ID or range"),
  "pve-vmid": either((v) => /^[1-9][0-9]{2,8}$/.test(v), "value does not look like a valid VM ID"),
  "pve-volume-id": volumeId,
  "pve-volume-id-or-absolute-path": (value) => (value.startsWith("/") ? undefined : volumeId(value)),
  "pve-volume-id-or-qm-path": (value) =>
    value === "none" || value === "cdrom" || value.startsWith("/") ? undefined : volumeId(value),
  "storage-pair": (value) =>
    value.split(":").every((id) => storageId(id) === undefined) ? undefined : `invalid storage pair '${value}'`,
  urlencoded: (value) => (/^[-%a-zA-Z0-9_.!~*'()]*$/.test(value) ? undefined : `invalid urlencoded string: ${value}`),
};

const PRIVILEGE_NAME =
  /^(VM\.(Allocate|Audit|Backup|Clone|Config\.(CDROM|CPU|Cloudinit|Disk|HWType|Memory|Network|Options)|Console|GuestAgent\.(Audit|FileRead|FileSystemMgmt|FileWrite|Unrestricted)|Migrate|PowerMgmt|Replicate|Snapshot|Snapshot\.Rollback)|Datastore\.(Allocate|AllocateSpace|AllocateTemplate|Audit)|Group\.Allocate|Mapping\.(Audit|Modify|Use)|Permissions\.Modify|Pool\.(Allocate|Audit)|Realm\.(Allocate|AllocateUser)|SDN\.(Allocate|Audit|Use)|Sys\.(AccessNetwork|Audit|Console|Incoming|Modify|PowerMgmt|Syslog)|User\.Modify)$/;

/** The zones of the system's table, which has places only: no abbreviations, no offsets, no old names of countries. */
function validTimeZone(zone: string): boolean {
  if (zone === "UTC") return true;
  if (!/^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)\/[A-Z]/.test(zone)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
