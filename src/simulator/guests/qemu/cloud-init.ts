import { createHash } from "node:crypto";
import type { Guest } from "../../state/model.js";
import { splitList } from "../../table/check.js";
import { partsOf } from "../../table/check.js";
import type { World } from "../../world.js";
import { drive, isCloudInit, isDriveKey } from "./drives.js";
import { isNetKey, parseNet } from "./nets.js";

const KEYS = /^(cicustom|cipassword|citype|ciuser|ciupgrade|nameserver|searchdomain|sshkeys|ipconfig\d+)$/;

export const isCloudInitKey = (key: string): boolean => KEYS.test(key);

/** Keys whose change makes the drive stale: cloud-init's own, and name and networks, which it holds too. */
const isRecorded = (key: string): boolean => isCloudInitKey(key) || isNetKey(key) || key === "name";

const hasDrive = (guest: Guest): boolean =>
  Object.entries(guest.config).some(([key, value]) => isDriveKey(key) && isCloudInit(drive(key, value)));

/** Writes the cloud-init drive, if there is one: what was recorded as changed is in it now. */
export function writeCloudInit(world: World, guest: Guest): void {
  if (!hasDrive(guest)) return;
  delete guest.cloudInit;
  world.guestChanged(guest);
}

/** Remembers what the drive still holds of a key that changes under a running VM; null for one that is new. */
export function recordCloudInit(guest: Guest, key: string): void {
  if (!isRecorded(key) || !hasDrive(guest)) return;
  guest.cloudInit ??= {};
  if (guest.cloudInit[key] === undefined) guest.cloudInit[key] = guest.config[key] ?? null;
}

interface Row {
  key: string;
  value?: string;
  pending?: string;
  delete?: 1;
}

/** The rows of GET cloudinit: what the drive holds and what the config has newer. */
export function cloudInitRows(guest: Guest): Row[] {
  const { config } = guest;
  const held = guest.cloudInit ?? {};
  const show = (key: string, value = config[key]): string => (key === "cipassword" ? "**********" : (value ?? ""));
  const rows: Row[] = [];
  for (const [key, old] of Object.entries(held)) {
    if (config[key] === undefined) rows.push({ key, delete: 1 });
    else if (old === null) rows.push({ key, pending: show(key) });
    else rows.push({ key, value: show(key, old), pending: show(key) });
  }
  for (const key of Object.keys(config))
    if (isCloudInitKey(key) && !key.startsWith("ipconfig") && held[key] === undefined)
      rows.push({ key, value: show(key) });
  return rows;
}

export type DumpType = "user" | "network" | "meta";

/** GET cloudinit/dump: the files of the drive. Who may not see passwords gets a mask. */
export function dumpCloudInit(guest: Guest, type: DumpType, secrets: boolean): string {
  const { config } = guest;
  if (type === "user") return userData(guest, secrets);
  const configDrive =
    config["citype"] === "configdrive2" || (config["citype"] === undefined && /^w/.test(config["ostype"] ?? ""));
  const network = configDrive ? interfacesFile(config) : networkV1(config);
  if (type === "network") return network;
  const id = createHash("sha1")
    .update(userData(guest, true) + network)
    .digest("hex");
  return configDrive
    ? JSON.stringify({ uuid: id, network_config: { content_path: "/content/0000" } }, undefined, 3)
    : `instance-id: ${id}\n`;
}

function userData({ config, vmid }: Guest, secrets: boolean): string {
  const name = config["name"] ?? `VM${vmid}`;
  const host = name.split(".")[0] ?? name;
  const domain = splitList(config["searchdomain"] ?? "")[0];
  const fqdn = name.includes(".") ? name : domain === undefined ? host : `${host}.${domain}`;
  const lines = ["#cloud-config", `hostname: ${host}`, "manage_etc_hosts: true", `fqdn: ${fqdn}`];
  const user = config["ciuser"];
  if (user !== undefined) lines.push(`user: ${user}`);
  const password = config["cipassword"];
  if (password !== undefined) lines.push(`password: ${secrets ? password : "**********"}`);
  const keys = decodeURIComponent(config["sshkeys"] ?? "")
    .split("\n")
    .filter((key) => key !== "");
  if (keys.length > 0) lines.push("ssh_authorized_keys:", ...keys.map((key) => `  - ${key}`));
  lines.push("chpasswd:", "  expire: False");
  if (user !== "root") lines.push("users:", "  - default");
  if (config["ciupgrade"] !== "0") lines.push("package_upgrade: true");
  return `${lines.join("\n")}\n`;
}

interface Addressed {
  readonly index: string;
  readonly mac: string;
  readonly ip: Record<string, string>;
}

function addressed(config: Readonly<Record<string, string>>): Addressed[] {
  return Object.keys(config)
    .filter((key) => isNetKey(key) && config[key.replace("net", "ipconfig")] !== undefined)
    .sort()
    .map((key) => {
      const index = key.slice(3);
      const mac = (parseNet(config[key] ?? "")["macaddr"] ?? "").toLowerCase();
      return { index, mac, ip: partsOf(config[`ipconfig${index}`] ?? "", "pve-qm-ipconfig") };
    });
}

const netmask = (bits: number): string =>
  [24, 16, 8, 0].map((shift) => (bits === 0 ? 0 : ((0xffffffff << (32 - bits)) >>> shift) & 255)).join(".");

function networkV1(config: Readonly<Record<string, string>>): string {
  const lines = ["version: 1", "config:"];
  for (const { index, mac, ip } of addressed(config)) {
    lines.push("    - type: physical", `      name: eth${index}`, `      mac_address: '${mac}'`, "      subnets:");
    const { ip: v4, gw, ip6: v6, gw6 } = ip;
    if (v4 === "dhcp") lines.push("      - type: dhcp4");
    else if (v4 !== undefined) {
      const [address = "", bits = "0"] = v4.split("/");
      lines.push(
        "      - type: static",
        `        address: '${address}'`,
        `        netmask: '${netmask(Number(bits))}'`,
      );
      if (gw !== undefined) lines.push(`        gateway: '${gw}'`);
    }
    if (v6 === "dhcp") lines.push("      - type: dhcp6");
    else if (v6 === "auto") lines.push("      - type: ipv6_slaac");
    else if (v6 !== undefined) {
      lines.push("      - type: static6", `        address: '${v6}'`);
      if (gw6 !== undefined) lines.push(`        gateway: '${gw6}'`);
    }
  }
  const servers = splitList(config["nameserver"] ?? "");
  const domains = splitList(config["searchdomain"] ?? "");
  if (servers.length > 0 || domains.length > 0) lines.push("    - type: nameserver");
  if (servers.length > 0) lines.push("      address:", ...servers.map((server) => `      - '${server}'`));
  if (domains.length > 0) lines.push("      search:", ...domains.map((domain) => `      - '${domain}'`));
  return `${lines.join("\n")}\n`;
}

/** Debian's form, which configdrive2 takes. */
function interfacesFile(config: Readonly<Record<string, string>>): string {
  const servers = splitList(config["nameserver"] ?? "");
  const domains = splitList(config["searchdomain"] ?? "");
  let text = "auto lo\niface lo inet loopback\n\n";
  if (servers.length > 0) text += `        dns_nameservers ${servers.join(" ")}\n`;
  if (domains.length > 0) text += `        dns_search ${domains.join(" ")}\n`;
  for (const { index, ip } of addressed(config)) {
    const { ip: v4, gw, ip6: v6, gw6 } = ip;
    text += `auto eth${index}\n`;
    if (v4 === "dhcp") text += `iface eth${index} inet dhcp\n`;
    else if (v4 !== undefined) {
      const [address = "", bits = "0"] = v4.split("/");
      text += `iface eth${index} inet static\n        address ${address}\n        netmask ${netmask(Number(bits))}\n`;
      if (gw !== undefined) text += `        gateway ${gw}\n`;
    }
    if (v6 === "dhcp" || v6 === "auto") text += `iface eth${index} inet6 ${v6}\n`;
    else if (v6 !== undefined) {
      const [address = "", bits = "0"] = v6.split("/");
      text += `iface eth${index} inet6 static\n        address ${address}\n        netmask ${bits}\n`;
      if (gw6 !== undefined) text += `        gateway ${gw6}\n`;
    }
  }
  return text;
}
