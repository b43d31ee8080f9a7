import type { Task } from "../state/model.js";

const UPID =
  /^UPID:([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?):([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):([0-9A-Fa-f]{8}):([^:\s]+):([^:\s]*):([^:\s]+):$/;

type Parts = Pick<Task, "node" | "pid" | "pstart" | "starttime" | "type" | "id" | "user">;

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");

/** `UPID:node:pid:pstart:start:type:id:user:`; pid, pstart and start in hex. */
export function printUpid(task: Parts): string {
  const id = task.id.replace(/[:/\s%]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return `UPID:${task.node}:${hex(task.pid)}:${hex(task.pstart)}:${hex(task.starttime)}:${task.type}:${id}:${task.user}:`;
}

/** The parts of a UPID; undefined when PVE could not parse it. */
export function parseUpid(upid: string): Parts | undefined {
  const found = UPID.exec(upid);
  if (found === null) return undefined;
  const number = (index: number): number => Number.parseInt(found[index] ?? "0", 16);
  return {
    node: found[1] ?? "",
    pid: number(3),
    pstart: number(4),
    starttime: number(5),
    type: found[6] ?? "",
    id: found[7] ?? "",
    user: found[8] ?? "",
  };
}
