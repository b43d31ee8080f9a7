import { hostname } from "node:os";

/** A process as the holder of leases: `host:pid:start`. */
export function processName(startedAt: number): string {
  return `${hostname()}:${process.pid}:${startedAt.toString(36)}`;
}

/**
 * True where the holder was a process of this machine that no longer runs, so that a run that was killed need not be
 * waited for. A process id that was given out again counts as alive: its lease then runs out by itself.
 */
export function isGone(holder: string): boolean {
  const [host, pid] = holder.split(":");
  if (host !== hostname() || pid === undefined || !/^\d+$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH";
  }
}
