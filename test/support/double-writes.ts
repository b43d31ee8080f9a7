import type { LoggedRequest } from "../../src/simulator/index.js";

/** What two writes have in common that are the same to PVE; the digest only tells what they were made against. */
function essence({ method, path, params }: LoggedRequest): string {
  const kept = Object.entries(params).filter(([name]) => name !== "digest");
  return JSON.stringify([method, path, kept.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** The guests that a write is about: the one in its path, or those it makes. */
function guestsOf({ path, params }: LoggedRequest): readonly string[] {
  const own = /^\/api2\/json\/nodes\/[^/]+\/(?:qemu|lxc)\/(\d+)/.exec(path)?.[1];
  const made = params["newid"] ?? params["vmid"];
  return typeof made === "string" ? [made] : own === undefined ? [] : [own];
}

/** Whether the answer told something about the guest: itself, a list that would have it, or tasks. */
function shows(read: LoggedRequest, vmid: string): boolean {
  if (read.method !== "GET" || read.cut === true) return false;
  const path = read.path.replace(/^\/api2\/json/, "");
  const own = /^\/nodes\/[^/]+\/(?:qemu|lxc)\/(\d+)\/(?:pending|config|status\/current)$/.exec(path)?.[1];
  // "does not exist" is an answer too
  if (own !== undefined) return own === vmid && (read.status === 200 || isAbsence(read));
  if (read.status !== 200) return false;
  return /^\/cluster\/(resources|tasks)$|^\/nodes\/[^/]+\/(qemu|lxc|tasks)$|^\/nodes\/[^/]+\/tasks\/[^/]+\/status$/.test(
    path,
  );
}

const isAbsence = (read: LoggedRequest): boolean => read.status === 500 && (read.faults ?? []).length === 0;

/** Every write of a log that was sent again without a look at its guest in between, as `METHOD path (requests n and m)`. */
export function doubleWrites(log: readonly LoggedRequest[]): string[] {
  const found: string[] = [];
  const last = new Map<string, LoggedRequest>();
  const inOrder = [...log].sort((a, b) => a.arrived - b.arrived);
  for (const write of inOrder) {
    if (write.method === "GET" || write.path === "/api2/json/access/ticket") continue;
    const before = last.get(essence(write));
    last.set(essence(write), write);
    if (before === undefined) continue;
    const [vmid = ""] = guestsOf(write);
    const isSeen = log.some(
      (read) => read.arrived > before.arrived && read.answered < write.arrived && shows(read, vmid),
    );
    if (!isSeen) found.push(`${write.method} ${write.path} (requests ${before.arrived} and ${write.arrived})`);
  }
  return found;
}
