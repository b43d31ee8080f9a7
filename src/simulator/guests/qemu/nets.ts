import type { Call } from "../../call.js";
import { partsOf } from "../../table/check.js";
import { joinString, type Parts } from "../../table/strings.js";
import { propertyString } from "../../table/table.js";

export const isNetKey = (key: string): boolean => /^net\d+$/.test(key);

export const parseNet = (value: string): Parts => partsOf(value, "net-2");

/** A network as the config keeps it: with a MAC address, made up where none is given. */
export function completeNet(call: Call, value: string): string {
  const net = parseNet(value);
  net["macaddr"] ??= call.world.mac();
  return printNet(net);
}

export const printNet = (net: Parts): string => joinString(net, propertyString("net-2") ?? {});

/** SDN.Use of the bridge, of its VLAN where one is set, of each trunk. [BEHAVIOUR section 2] */
export function checkBridge(call: Call, net: Parts): void {
  const bridge = net["bridge"];
  if (bridge === undefined) return;
  const path = `/sdn/zones/localnetwork/${bridge}`;
  const trunks = net["trunks"];
  if (net["tag"] !== undefined) call.require(`${path}/${net["tag"]}`, ["SDN.Use"]);
  else if (trunks === undefined) call.require(path, ["SDN.Use"]);
  if (trunks !== undefined) for (const vlan of vlans(trunks)) call.require(`${path}/${vlan}`, ["SDN.Use"]);
}

function vlans(trunks: string): number[] {
  return trunks.split(";").flatMap((part) => {
    const [from = "0", to = from] = part.split("-");
    const length = Math.max(0, Math.min(4094, Number(to)) - Number(from) + 1);
    return Array.from({ length }, (_, i) => Number(from) + i);
  });
}
