import type { Call } from "../call.js";

/** A network interface as its call describes it; bridges get PVE's defaults. */
export function bridgeRow(call: Call, iface: string): Record<string, unknown> {
  const row: Record<string, unknown> = {
    iface,
    type: call.need("type"),
    families: ["inet"],
    method: "manual",
    method6: "manual",
  };
  if (row["type"] === "bridge")
    Object.assign(row, { bridge_fd: "0", bridge_ports: call.text("bridge_ports") ?? "", bridge_stp: "off" });
  const cidr = call.text("cidr");
  if (cidr !== undefined) {
    const [address = "", netmask = ""] = cidr.split("/");
    Object.assign(row, { method: "static", cidr, address, netmask });
  }
  const gateway = call.text("gateway");
  if (gateway !== undefined) row["gateway"] = gateway;
  if (call.has("autostart")) row["autostart"] = call.flag("autostart") ? 1 : 0;
  const comments = call.text("comments");
  if (comments !== undefined) row["comments"] = `${comments.trimEnd()}\n`;
  return row;
}
