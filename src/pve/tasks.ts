import { ProxmoorError } from "../model/errors.js";
import type { TaskEntry, TaskLogLine, TaskReader, TaskState, Upid } from "../tasks/types.js";
import type { PveClient } from "./client.js";
import { isLogEmpty, isLogGone, percentOf } from "./error-texts.js";
import { defined, needed, numberOf, record, records, textOf } from "./wire.js";
import type { WireRecord } from "./wire.js";

/** At most this many lines a read: PVE's default is 50. */
const LOG_LINES = 500;
const LIST_LENGTH = 500;

/** The parts of a UPID, `UPID:node:pid:pstart:start:type:id:user:`; `startTime` in UTC milliseconds. */
export interface UpidParts {
  readonly node: string;
  readonly type: string;
  readonly id: string;
  readonly user: string;
  readonly startTime: number;
}

/** @throws ProxmoorError PVE_ANSWER where the text is no UPID. */
export function parseUpid(upid: string): UpidParts {
  const match = /^UPID:([^:/\s]+):[0-9A-F]{8}:[0-9A-F]{8,9}:([0-9A-F]{8}):([^:/\s]+):([^:/\s]*):([^:/\s]+):$/.exec(
    upid,
  );
  if (match === null) throw new ProxmoorError("PVE_ANSWER", `${JSON.stringify(upid)} is not the id of a PVE task`);
  const [, node = "", start = "", type = "", id = "", user = ""] = match;
  return { node, type, id, user, startTime: parseInt(start, 16) * 1000 };
}

/** Reads PVE's tasks (src/tasks/types.ts). */
export class PveTasks implements TaskReader {
  constructor(private readonly client: PveClient) {}

  async state(upid: Upid, signal?: AbortSignal): Promise<TaskState> {
    const path = `${taskPath(upid)}/status`;
    const status = record(await this.client.get(path, {}, { signal }), path);
    if (needed(textOf(status["status"]), "status", path) !== "stopped") return { running: true };
    return { running: false, exit: textOf(status["exitstatus"]) ?? "unexpected status" };
  }

  async log(upid: Upid, after: number, signal?: AbortSignal): Promise<readonly TaskLogLine[]> {
    const path = `${taskPath(upid)}/log`;
    const data = await this.client.get(path, { start: after, limit: LOG_LINES }, { signal });
    return records(data, path).flatMap((row) => {
      const text = textOf(row["t"]) ?? "";
      if (isLogGone(text)) throw new ProxmoorError("PVE_TASK_LOST", `the log of task ${upid} is gone: ${text}`);
      if (isLogEmpty(text)) return [];
      const percent = percentOf(text);
      return [{ n: numberOf(row["n"]) ?? 0, text, ...(percent === undefined ? {} : { percent }) }];
    });
  }

  async list(
    node: string,
    filter: { vmid?: number; since?: number; type?: string },
    signal?: AbortSignal,
  ): Promise<readonly TaskEntry[]> {
    const path = `/nodes/${encodeURIComponent(node)}/tasks`;
    const params = {
      source: "all",
      limit: LIST_LENGTH,
      ...defined({
        vmid: filter.vmid,
        since: filter.since === undefined ? undefined : Math.floor(filter.since / 1000),
        typefilter: filter.type,
      }),
    };
    return records(await this.client.get(path, params, { signal }), path)
      .map((row) => taskEntry(row, node))
      .sort((a, b) => b.startTime - a.startTime);
  }
}

function taskPath(upid: Upid): string {
  return `/nodes/${encodeURIComponent(parseUpid(upid).node)}/tasks/${encodeURIComponent(upid)}`;
}

/** Running tasks have the token in `user` and RUNNING as status; ended ones split user and token [tasks/active.list]. */
function taskEntry(row: WireRecord, node: string): TaskEntry {
  const [user, token] = [textOf(row["user"]) ?? "", textOf(row["tokenid"])];
  const [endTime, status] = [numberOf(row["endtime"]), textOf(row["status"])];
  const running = endTime === undefined && (status === undefined || status === "RUNNING");
  return {
    upid: needed(textOf(row["upid"]), "upid", `/nodes/${node}/tasks`),
    node: textOf(row["node"]) ?? node,
    type: textOf(row["type"]) ?? "",
    id: textOf(row["id"]) ?? "",
    user: token === undefined || user.includes("!") ? user : `${user}!${token}`,
    startTime: (numberOf(row["starttime"]) ?? 0) * 1000,
    ...(endTime === undefined ? {} : { endTime: endTime * 1000 }),
    ...(running || status === undefined ? {} : { exit: status }),
  };
}
