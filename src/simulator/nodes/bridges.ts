import type { Call } from "../call.js";
import { refuse } from "../fault.js";
import { splitList } from "../table/check.js";

type Row = Record<string, unknown>;

const NOT_KEPT = new Set(["node", "iface", "delete", "cidr", "cidr6"]);
const SWITCHES = new Set(["autostart", "bridge_vlan_aware"]);
/** What goes with an address that is taken away. */
const WITH: Readonly<Record<string, readonly string[]>> = {
  cidr: ["address", "netmask"],
  address: ["cidr", "netmask"],
  cidr6: ["address6", "netmask6"],
  address6: ["cidr6", "netmask6"],
};

/**
 * A network interface after its call: what is not mentioned stays, a bridge gets PVE's defaults, and an address
 * makes it static.
 */
export function changedInterface(call: Call, before: Row): Row {
  const row: Row = { ...before };
  for (const key of splitList(call.text("delete") ?? ""))
    for (const one of [key, ...(WITH[key] ?? [])]) delete row[one];
  for (const key of Object.keys(call.params)) if (!NOT_KEPT.has(key)) row[key] = valueOf(call, key);
  address(row, call.text("cidr"), "");
  address(row, call.text("cidr6"), "6");
  if (row["type"] === "bridge") {
    row["bridge_fd"] ??= "0";
    row["bridge_ports"] ??= "";
    row["bridge_stp"] ??= "off";
  }
  row["method"] = row["address"] === undefined ? "manual" : "static";
  row["method6"] = row["address6"] === undefined ? "manual" : "static";
  row["families"] = row["address6"] === undefined ? ["inet"] : ["inet", "inet6"];
  return row;
}

function valueOf(call: Call, key: string): unknown {
  if (SWITCHES.has(key)) return call.flag(key) ? 1 : 0;
  return key === "comments" || key === "comments6" ? `${call.need(key).trimEnd()}\n` : call.need(key);
}

function address(row: Row, cidr: string | undefined, version: "" | "6"): void {
  if (cidr !== undefined) {
    const [own = "", bits = ""] = cidr.split("/");
    Object.assign(row, { [`cidr${version}`]: cidr, [`address${version}`]: own, [`netmask${version}`]: bits });
  } else if (row[`address${version}`] !== undefined) {
    const bits = maskBits(String(row[`netmask${version}`]));
    row[`netmask${version}`] = bits;
    row[`cidr${version}`] = `${String(row[`address${version}`])}/${bits}`;
  }
}

/** `255.255.255.0` → `24`; bits stay as they are. */
function maskBits(mask: string): string {
  if (!mask.includes(".")) return mask;
  const ones = mask.split(".").map((part) => Number(part).toString(2).replaceAll("0", "").length);
  return String(ones.reduce((sum, count) => sum + count, 0));
}

/** Only one interface may lead out. */
export function checkGateway(call: Call, others: readonly Row[]): void {
  const version = call.has("gateway") ? "gateway" : "gateway6";
  if (!call.has(version)) return;
  const taken = others.find((one) => one[version] !== undefined);
  if (taken !== undefined)
    refuse({ [version]: `Default ${version} already exists on interface '${String(taken["iface"])}'.` });
}
