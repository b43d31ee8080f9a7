import type { Call } from "../../call.js";
import { fail } from "../../fault.js";
import { findVolume, locate } from "../../storage/volumes.js";
import { partsOf, splitList } from "../../table/check.js";
import { asLine } from "../common/values.js";
import { isNet, parseLxcNet } from "./nets.js";

const LISTS = new Set(["nameserver", "searchdomain"]);
const PLAIN_MTU = 1500;
const DEVICES = /^\/dev\/(null|zero|full|u?random|tty\d*|console|ptmx|kvm|fuse|kmsg|net\/tun|loop\d+|sd[a-z]\d*)$/;

/** A value as the file keeps it: PVE joins lists of servers and domains by blanks. */
export function lxcLine(key: string, value: string): string {
  return asLine(LISTS.has(key) ? splitList(value).join(" ") : value);
}

/** The file's comment lines end with a line feed each; empty ones at the end, or alone, are none. */
export function lxcDescription(value: string): string {
  const lines = value.replace(/\n+$/, "");
  return lines === "" ? "" : `${lines}\n`;
}

/** What PVE's `update_pct_config` tests beyond the schema, at creation as well as at a change. */
export function checkLxcValues(call: Call, set: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(set)) {
    if (isNet(key)) checkMtu(call, key, value);
    else if (key === "hookscript") checkHookscript(call, value);
    else if (/^dev\d+$/.test(key)) checkDevice(value);
  }
}

function checkMtu(call: Call, key: string, value: string): void {
  const { mtu, bridge } = parseLxcNet(value);
  const found = call.world.node(call.node)?.network.find((iface) => iface["iface"] === bridge);
  if (mtu === undefined || found === undefined) return;
  const most = Number(found["mtu"] ?? PLAIN_MTU);
  if (Number(mtu) > most) fail(`${key}: MTU size '${mtu}' is bigger than bridge MTU '${most}'`);
}

/** The nodes have the devices of every Linux and no more. */
function checkDevice(value: string): void {
  const path = partsOf(value, "dev")["path"] ?? "";
  if (!DEVICES.test(path)) fail(`Device ${path} does not exist`);
}

/** PVE's `check_hookscript`: a snippet that is there and may be run. */
function checkHookscript(call: Call, volid: string): void {
  if (locate(call.state, volid).parsed.content !== "snippets") fail(`'${volid}' is not in the snippets directory`);
  const volume = findVolume(call.state, volid, call.node);
  if (volume === undefined) fail(`script '${volid}' does not exist`);
  if (volume.holds?.["executable"] !== "1") fail(`script '${volid}' is not executable`);
}
