import type { Call } from "../../call.js";
import { fail } from "../../fault.js";
import { findVolume, locate } from "../../storage/volumes.js";
import { splitList } from "../../table/check.js";
import { asLine } from "../common/values.js";
import { isNet, parseLxcNet } from "./nets.js";

const LISTS = new Set(["nameserver", "searchdomain"]);
const PLAIN_MTU = 1500;

/** A value as the file keeps it: PVE joins lists of servers and domains by blanks. */
export function lxcLine(key: string, value: string): string {
  return asLine(LISTS.has(key) ? splitList(value).join(" ") : value);
}

/** The file's comment lines end with a line feed each; an empty description is none. */
export function lxcDescription(value: string): string {
  return value === "" ? "" : `${value.replace(/\n+$/, "")}\n`;
}

/** What PVE's `update_pct_config` tests beyond the schema, at creation as well as at a change. */
export function checkLxcValues(call: Call, set: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(set)) {
    if (isNet(key)) checkMtu(call, key, value);
    else if (key === "hookscript") checkHookscript(call, value);
  }
}

function checkMtu(call: Call, key: string, value: string): void {
  const { mtu, bridge } = parseLxcNet(value);
  const found = call.world.node(call.node)?.network.find((iface) => iface["iface"] === bridge);
  if (mtu === undefined || found === undefined) return;
  const most = Number(found["mtu"] ?? PLAIN_MTU);
  if (Number(mtu) > most) fail(`${key}: MTU size '${mtu}' is bigger than bridge MTU '${most}'`);
}

/** PVE's `check_hookscript`: a snippet that is there and may be run. */
function checkHookscript(call: Call, volid: string): void {
  if (locate(call.state, volid).parsed.content !== "snippets") fail(`'${volid}' is not in the snippets directory`);
  const volume = findVolume(call.state, volid, call.node);
  if (volume === undefined) fail(`script '${volid}' does not exist`);
  if (volume.holds?.["executable"] !== "1") fail(`script '${volid}' is not executable`);
}
