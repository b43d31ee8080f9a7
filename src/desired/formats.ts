import { parseRef } from "../model/ref.js";

/** A check of text that the schema names with `format`; what it allows is said in words. */
export interface TextFormat {
  /** For editors, and to be checked first. */
  readonly pattern?: string;
  readonly check?: (text: string) => boolean;
  readonly allowed: string;
  /** What somebody may have meant. */
  readonly suggest?: (text: string) => string | undefined;
}

const LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";
const DNS_NAME = `^(${LABEL}\\.)*${LABEL}$`;

/** Whether a text is an IPv4 address in dotted form, no part with a leading zero. */
export function isIPv4(text: string): boolean {
  return /^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!$)|$)){4}$/.test(text);
}

/** Whether a text is an IPv6 address, without a zone; the last 32 bits may be an IPv4 address. */
export function isIPv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2 || !/^[0-9a-fA-F:.]+$/.test(text)) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const last = groups.at(-1) ?? "";
  const tail = last.includes(".") ? 1 : 0;
  // an IPv4 tail stands at the very end and for two groups
  if (tail === 1 && (!isIPv4(last) || text.endsWith("::"))) return false;
  const hex = tail === 1 ? groups.slice(0, -1) : groups;
  const count = hex.length + 2 * tail;
  return hex.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) && (halves.length === 2 ? count < 8 : count === 8);
}

/** PVE asks for a prefix of at least 8 bits (pve-ipv4-config, pve-ipv6-config). */
function isCidr(text: string, isAddress: (address: string) => boolean, bits: number): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const prefix = Number(match?.[2]);
  return match?.[1] !== undefined && isAddress(match[1]) && prefix >= 8 && prefix <= bits;
}

function dnsLike(text: string): string | undefined {
  const name = text
    .replace(/[^a-zA-Z0-9.-]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .replace(/-*\.[-.]*/g, ".");
  return new RegExp(DNS_NAME).test(name) ? name : undefined;
}

/** `5254001234ab` or `52-54-…` as PVE writes it. */
function macLike(text: string): string | undefined {
  const digits = text.replace(/[^0-9a-fA-F]/g, "").toUpperCase();
  const mac = digits.match(/../g)?.join(":") ?? "";
  return digits.length === 12 && isUnicastMac(mac) && mac !== text.toUpperCase() ? mac : undefined;
}

function isUnicastMac(text: string): boolean {
  return /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i.test(text);
}

/** A public key as in authorized_keys; PVE checks nothing but its encoding, the guest would ignore the rest silently. */
function isPublicKey(text: string): boolean {
  const key = text.trim();
  return !/[\r\n]/.test(key) && /(^|\s)(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+={0,3}(\s|$)/.test(key);
}

/**
 * The formats by name. Names, ids and patterns are PVE's own checks (api-params: dns-name, pve-storage-id, pve-node,
 * pve-bridge-id, mac-addr, pve-ipv4-config, pve-ipv6-config, tags of BEHAVIOUR section 13).
 */
export const FORMATS = {
  "dns-name": {
    pattern: DNS_NAME,
    allowed: "a DNS name: letters, digits and -, in parts joined by dots, no - at the ends of a part",
    suggest: dnsLike,
  },
  node: {
    pattern: `^${LABEL}$`,
    allowed: "the name of a node, such as pve1",
    suggest: (text) => dnsLike(text)?.split(".")[0],
  },
  storage: {
    pattern: "^[a-zA-Z][a-zA-Z0-9_.-]*[a-zA-Z0-9]$",
    allowed: "the name of a storage, such as local-lvm: two characters or more, a letter first",
  },
  bridge: { pattern: "^[-_.a-zA-Z0-9]+$", allowed: "the name of a bridge, such as vmbr0" },
  interface: { pattern: "^[-_.a-zA-Z0-9]+$", allowed: "the name of a network interface, such as eth0" },
  mac: {
    pattern: "^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$",
    allowed: "a unicast MAC address, such as BC:24:11:00:00:01",
    suggest: macLike,
  },
  tag: {
    pattern: "^[a-zA-Z0-9_][a-zA-Z0-9_+.-]*$",
    allowed: "a tag: letters, digits and _ - + ., beginning with a letter, digit or _",
  },
  ipv4: { check: isIPv4, allowed: "an IPv4 address, such as 10.0.0.1" },
  ipv6: { check: isIPv6, allowed: "an IPv6 address, such as fd00::1" },
  "ipv4-config": {
    check: (text) => text === "dhcp" || text === "manual" || isCidr(text, isIPv4, 32),
    allowed: "dhcp, manual or an IPv4 address with its prefix, such as 10.0.0.5/24",
    suggest: (text) => (isIPv4(text) ? `${text}/24` : undefined),
  },
  "ipv6-config": {
    check: (text) => ["auto", "dhcp", "manual"].includes(text) || isCidr(text, isIPv6, 128),
    allowed: "auto, dhcp, manual or an IPv6 address with its prefix, such as fd00::5/64",
    suggest: (text) => (isIPv6(text) ? `${text}/64` : undefined),
  },
  nameserver: {
    check: (text) => isIPv4(text) || isIPv6(text),
    allowed: "an IP address, such as 10.0.0.1 or fd00::1",
  },
  "search-domain": {
    pattern: `^(${LABEL}\\.)*${LABEL}( (${LABEL}\\.)*${LABEL})*$`,
    allowed: "a DNS name, or several parted by a blank",
  },
  "cpu-type": {
    pattern: "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$",
    allowed: "a CPU type of PVE, such as host or x86-64-v2-AES, or a custom-… model",
  },
  "ssh-key": {
    check: isPublicKey,
    allowed: "one public key as in authorized_keys, such as ssh-ed25519 AAAA… me@desk",
  },
  serial: { pattern: "^[a-zA-Z0-9_.-]{1,20}$", allowed: "1 to 20 letters, digits and _ . -" },
  line: { pattern: "^[^\\r\\n]+$", allowed: "text on one line" },
  "volume-id": {
    pattern: "^[a-zA-Z][a-zA-Z0-9_.-]*[a-zA-Z0-9]:\\S+$",
    allowed: "a volume, such as local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst",
  },
  template: { pattern: `^(${LABEL}\\.)*${LABEL}$`, allowed: "the name or the vmid of a VM template" },
  "absolute-path": {
    check: (text) => /^\/[^,\r\n]*$/.test(text) && !text.split("/").includes(".."),
    allowed: "an absolute path without .. and without a comma, such as /srv/data",
    suggest: (text) => (/^[a-z][a-z0-9/_-]*$/i.test(text) ? `/${text}` : undefined),
  },
  "label-value": {
    pattern: "^([a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?)?$",
    allowed: "at most 63 letters, digits and _ . -, a letter or digit at both ends",
  },
  "field-path": {
    pattern: "^spec\\.[^\\s.]+(\\.[^\\s.]+)*$",
    allowed: "the path of a field, such as spec.memory or spec.disks.scsi0",
    suggest: (text) => (/^(?!metadata)[a-z][A-Za-z0-9.]*$/.test(text) ? `spec.${text}` : undefined),
  },
  ref: {
    pattern: "^[a-zA-Z]+/\\S+$",
    check: (text) => parseRef(text) !== undefined,
    allowed: "vm/NAME or ct/NAME",
  },
} satisfies Record<string, TextFormat>;

export type FormatName = keyof typeof FORMATS;
