import { fail } from "../fault.js";
import type { State } from "../state/model.js";

/** More than half of the nodes are there. */
export function isQuorate(state: State): boolean {
  const nodes = Object.values(state.nodes);
  return nodes.filter((node) => node.online).length * 2 > nodes.length;
}

/** Writes that touch no file of the cluster: they go on. */
const GOES_ON = /\/(status\/(stop|shutdown|reset|suspend|resume)|agent(\/.*)?|monitor|\w*proxy|ticket|sendkey)$/;
/** Calls that begin with PVE's `check_cfs_quorum`. */
const TESTED = /\/(qemu|lxc)$|\/(clone|start|migrate|migrateall)$|^\/cluster\/ha\//;
/** Files of the cluster that several calls write, by the beginning of the path. */
const SHARED_FILES: readonly (readonly [RegExp, string])[] = [
  [/^\/(access|pools)/, "file-user_cfg"],
  [/^\/storage/, "file-storage_cfg"],
  [/^\/cluster\/backup/, "file-jobs_cfg"],
];

/**
 * What PVE says to a call without quorum; undefined where it goes on. Reads do, but for the question where a guest may
 * migrate to. [BEHAVIOUR section 13]
 */
function quorumFault(state: State, { method, pattern, path }: AskedCall): string | undefined {
  const isRead = method === "GET" && !pattern.endsWith("/migrate");
  if (isRead || isQuorate(state) || GOES_ON.test(pattern)) return undefined;
  if (TESTED.test(pattern) && method !== "PUT") return "cluster not ready - no quorum?";
  const shared = SHARED_FILES.find(([begin]) => begin.test(pattern));
  if (shared !== undefined) return `cfs-lock '${shared[1]}' error: no quorum!`;
  const [, node, kind, vmid] = /^\/nodes\/([^/]+)\/(qemu|lxc)\/(\d+)/.exec(path) ?? [];
  if (node === undefined || kind === undefined || vmid === undefined) return undefined;
  const folder = kind === "qemu" ? "qemu-server" : "lxc";
  state.nextPid += 1;
  const file = `/etc/pve/nodes/${node}/${folder}/${vmid}.conf.tmp.${state.nextPid}`;
  return `unable to open file '${file}' - Permission denied`;
}

interface AskedCall {
  readonly method: string;
  /** `/nodes/{node}/qemu/{vmid}/config` */
  readonly pattern: string;
  readonly path: string;
}

/** @throws PVE's text */
export function needQuorum(state: State, call: AskedCall): void {
  const fault = quorumFault(state, call);
  if (fault !== undefined) fail(fault);
}
