import type { Call } from "../../call.js";
import { partsOf } from "../../table/check.js";
import { joinString, type Parts } from "../../table/strings.js";
import { propertyString } from "../../table/table.js";

export const isNet = (key: string): boolean => /^net\d+$/.test(key);
export const parseLxcNet = (value: string): Parts => partsOf(value, "net");

/** As the config keeps it: with a MAC address and `type=veth`. */
export function completeLxcNet(call: Call, value: string): string {
  const net = parseLxcNet(value);
  net["hwaddr"] ??= call.world.mac();
  net["type"] ??= "veth";
  return joinString(net, propertyString("net") ?? {});
}

/** The same network with another MAC address, for a clone. */
export function withNewMac(call: Call, value: string): string {
  return joinString({ ...parseLxcNet(value), hwaddr: call.world.mac() }, propertyString("net") ?? {});
}
