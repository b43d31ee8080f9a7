import type { GuestStatus, GuestSummary, RawConfig } from "../observed/types.js";
import type { Kind } from "../model/ref.js";
import { tags as tagsCodec } from "./codec/values.js";
import { defined, flagOf, needed, numberOf, records, textOf } from "./wire.js";
import type { WireRecord } from "./wire.js";

/** PVE's word for a guest's state; `qmpstatus` tells paused VMs from running ones, where it is given. */
export function statusOf(row: WireRecord): GuestStatus {
  const [status, qmp] = [textOf(row["status"]), textOf(row["qmpstatus"])];
  if (status === "running")
    return qmp === "paused" || qmp === "suspended" || qmp === "prelaunch" ? "paused" : "running";
  return status === "stopped" || status === "paused" ? status : "unknown";
}

/**
 * A guest from a row of the list at `path`.
 *
 * @throws ProxmoorError PVE_ANSWER where its vmid is missing.
 */
export function listedGuest(row: WireRecord, at: { kind: Kind; node: string; path: string }): GuestSummary {
  return needed(guestSummary(at.kind, at.node, row), "vmid", at.path);
}

/**
 * A guest from a row of `/nodes/N/qemu`, `/nodes/N/lxc`, `status/current` or `/cluster/resources`, which name the
 * same figures alike but for `cpus` and `maxcpu`.
 */
export function guestSummary(kind: Kind, node: string, row: WireRecord): GuestSummary | undefined {
  const vmid = numberOf(row["vmid"]);
  if (vmid === undefined) return undefined;
  const ha = row["ha"];
  const haState =
    textOf(row["hastate"]) ?? (typeof ha === "object" && ha !== null ? textOf((ha as WireRecord)["state"]) : undefined);
  const required = {
    kind,
    vmid,
    node,
    status: statusOf(row),
    template: flagOf(row["template"]),
    tags: tagsCodec.read(textOf(row["tags"]) ?? "") as readonly string[],
  };
  const optional = {
    name: textOf(row["name"]),
    lock: textOf(row["lock"]),
    pool: textOf(row["pool"]),
    haState,
    cpus: numberOf(row["cpus"] ?? row["maxcpu"]),
    cpuUsage: numberOf(row["cpu"]),
    memory: numberOf(row["maxmem"]),
    memoryUsed: numberOf(row["mem"]),
    swap: numberOf(row["maxswap"]),
    swapUsed: numberOf(row["swap"]),
    disk: numberOf(row["maxdisk"]),
    diskUsed: numberOf(row["disk"]),
    networkIn: numberOf(row["netin"]),
    networkOut: numberOf(row["netout"]),
    uptime: numberOf(row["uptime"]),
    pid: numberOf(row["pid"]),
  };
  return { ...required, ...defined(optional) };
}

/**
 * A configuration from the rows of `/pending`: `{key, value?, pending?, delete?}`, the digest being one of them
 * [qemupending/wait.many.pending, lxcconfig/running.pending].
 *
 * @throws ProxmoorError PVE_ANSWER for rows without a key and for no digest.
 */
export function rawConfig(data: unknown, path: string): RawConfig {
  const config: Record<string, string> = {};
  const pending: Record<string, string | null> = {};
  const current: Record<string, string> = {};
  let digest: string | undefined;
  for (const row of records(data, path)) {
    const key = needed(textOf(row["key"]), "key", path);
    const [value, next] = [textOf(row["value"]), textOf(row["pending"])];
    const isRemoval = next === undefined && (numberOf(row["delete"]) ?? 0) !== 0;
    if (key !== "digest" && value !== undefined && (next !== undefined || isRemoval)) current[key] = value;
    if (key === "digest") digest = value;
    else if (next !== undefined) config[key] = pending[key] = next;
    else if (isRemoval) pending[key] = null;
    else if (value !== undefined) config[key] = value;
  }
  return { config, pending, current, digest: needed(digest, "digest", path) };
}
