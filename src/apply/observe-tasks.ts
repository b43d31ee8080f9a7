import { messageOf } from "../model/errors.js";
import type { ObservedNode } from "../observed/types.js";
import type { TaskReader } from "../tasks/types.js";
import type { TaskLog } from "./types.js";

/**
 * Stores the tasks that PVE ran since a time (UTC ms), other people's too: one request a node. A node that does not
 * answer is passed over; gives what went wrong there.
 */
export async function observeTasks(
  from: { pveTasks: TaskReader; taskLog: TaskLog },
  nodes: readonly ObservedNode[],
  since: number,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const online = nodes.filter((node) => node.status === "online");
  const lists = await Promise.allSettled(online.map((node) => from.pveTasks.list(node.name, { since }, signal)));
  const entries = lists.flatMap((list) => (list.status === "fulfilled" ? list.value : []));
  if (entries.length > 0) await from.taskLog.observe(entries);
  return lists.flatMap((list) => (list.status === "rejected" ? [messageOf(list.reason)] : []));
}
