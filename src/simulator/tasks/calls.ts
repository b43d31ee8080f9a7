import type { Call, Handlers } from "../call.js";
import { fail, refuse } from "../fault.js";
import type { Task } from "../state/model.js";
import { PlainText } from "../http/plain-text.js";
import { parseUpid } from "./upid.js";

/** PVE's `check_task_user`: one's own tasks, and those of one's tokens. */
function isOwn(call: Call, user: string): boolean {
  const { name, userid, tokenid } = call.login;
  return user === name || (tokenid === undefined && user.startsWith(`${userid}!`));
}

function statusKind(status: string): string {
  if (status === "OK") return "ok";
  if (status === "unexpected status") return "unknown";
  return /^WARNINGS: \d+$/.test(status) ? "warning" : "error";
}

/** A token's task: user and token apart, as the archive has them. */
function splitUser(user: string): { user: string; tokenid?: string } {
  const [userid = "", tokenid] = user.split("!");
  return tokenid === undefined ? { user: userid } : { user: userid, tokenid };
}

function row(task: Task): Record<string, unknown> {
  const { upid, node, pid, pstart, starttime, type, id } = task;
  const base = { upid, node, pid, pstart, starttime, type, id };
  if (task.status === undefined) return { ...base, user: task.user, saved: "0", status: "RUNNING" };
  return { ...base, ...splitUser(task.user), endtime: task.endtime ?? starttime, status: task.status };
}

/** GET /nodes/N/tasks: newest first, running ones only when asked for. */
function list(call: Call): unknown {
  const source = call.text("source") ?? "archive";
  const matching = [...call.state.tasks]
    .reverse()
    .filter((task) => task.node === call.node && matches(call, task, source));
  const start = call.int("start") ?? 0;
  call.extras.total = matching.length;
  // running ones lead the list
  const ordered = [
    ...matching.filter((t) => t.status === undefined),
    ...matching.filter((t) => t.status !== undefined),
  ];
  return ordered.slice(start, start + (call.int("limit") ?? 50)).map(row);
}

function matches(call: Call, task: Task, source: string): boolean {
  const running = task.status === undefined;
  if ((source === "archive" && running) || (source === "active" && !running)) return false;
  if (!isOwn(call, task.user) && !call.holds(`/nodes/${call.node}`, ["Sys.Audit"])) return false;
  const { user, tokenid } = splitUser(task.user);
  const userFilter = call.text("userfilter");
  if (userFilter !== undefined && !(running ? task.user : user).includes(userFilter)) return false;
  const type = call.text("typefilter");
  if (type !== undefined && task.type !== type) return false;
  const vmid = call.text("vmid");
  if (vmid !== undefined && task.id !== vmid) return false;
  if (call.has("since") && task.starttime < (call.int("since") ?? 0)) return false;
  if (call.has("until") && task.starttime > (call.int("until") ?? 0)) return false;
  if (call.flag("errors") && (running || task.status === "OK")) return false;
  const wanted = call.list("statusfilter");
  if (wanted.length > 0 && !running && !wanted.includes(statusKind(task.status ?? ""))) return false;
  return tokenid !== "" || user !== "";
}

function taskOf(call: Call): { task: Task | undefined; user: string; upid: string } {
  const upid = call.need("upid");
  const parts = parseUpid(upid);
  if (parts === undefined) refuse({ upid: "unable to parse worker upid" });
  return { task: call.world.tasks.get(upid), user: parts.user, upid };
}

function status(call: Call): unknown {
  const { task } = taskOf(call);
  if (task === undefined) refuse({ upid: "no such task" });
  mayRead(call, task.user);
  const { upid, node, pid, pstart, starttime, type, id } = task;
  const base = { upid, node, pid, pstart, starttime, type, id, ...splitUser(task.user) };
  if (task.status === undefined) return { ...base, status: "running" };
  return { ...base, status: "stopped", exitstatus: task.status };
}

function mayRead(call: Call, user: string): void {
  if (!isOwn(call, user)) call.require(`/nodes/${call.node}`, ["Sys.Audit"]);
}

function log(call: Call): unknown {
  const { task, user } = taskOf(call);
  mayRead(call, user);
  const download = call.flag("download");
  if (download && (call.has("start") || call.has("limit")))
    fail("'download' cannot be used together with 'start' or 'limit' parameters");
  if (download && task !== undefined) return new PlainText(task.log.map((line) => `${line}\n`).join(""));
  const lines = task?.log ?? ["unable to open file - No such file or directory"];
  const shown = lines.length === 0 ? ["no content"] : lines;
  const start = call.int("start") ?? 0;
  const limit = call.int("limit") ?? 50;
  call.extras.total = shown.length;
  return shown.map((t, index) => ({ n: index + 1, t })).slice(start, limit === 0 ? undefined : start + limit);
}

function stop(call: Call): null {
  const { task, user, upid } = taskOf(call);
  if (task === undefined) refuse({ upid: "no such task" });
  if (!isOwn(call, user)) call.require(`/nodes/${call.node}`, ["Sys.Modify"]);
  call.world.tasks.stop(upid);
  return null;
}

/** GET /cluster/tasks: the newest of every node, all that run. */
function clusterTasks(call: Call): unknown {
  const audit = call.holds("/", ["Sys.Audit"]);
  const visible = [...call.state.tasks]
    .reverse()
    .filter((task) => audit || splitUser(task.user).user === call.login.name);
  return Object.keys(call.state.nodes).flatMap((node) =>
    visible
      .filter((task) => task.node === node)
      .slice(0, 25)
      .map((task) => {
        const { upid, starttime, type, id } = task;
        const base = { upid, node, starttime, type, id, ...splitUser(task.user) };
        if (task.status === undefined) return { ...base, saved: "0" };
        return { ...base, saved: "1", endtime: task.endtime ?? starttime, status: task.status };
      }),
  );
}

export const taskCalls: Handlers = {
  "GET /nodes/{node}/tasks": list,
  "GET /nodes/{node}/tasks/{upid}": () => [{ name: "log" }, { name: "status" }],
  "DELETE /nodes/{node}/tasks/{upid}": stop,
  "GET /nodes/{node}/tasks/{upid}/status": status,
  "GET /nodes/{node}/tasks/{upid}/log": log,
  "GET /cluster/tasks": clusterTasks,
};
