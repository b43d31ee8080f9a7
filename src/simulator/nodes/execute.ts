import type { Call, Handlers } from "../call.js";
import { ApiFault, faultText } from "../fault.js";
import { dispatch } from "../http/dispatch.js";
import type { Routes } from "../http/routes.js";
import type { Params } from "../table/check.js";

interface Command {
  readonly path?: unknown;
  readonly method?: unknown;
  readonly args?: unknown;
}

/** POST execute: root's several calls below one node, each with its own status. */
function execute(call: Call, routes: Routes): unknown {
  const commands = JSON.parse(call.need("commands")) as readonly Command[];
  return commands.map((command) => runOne(call, routes, command));
}

function runOne(call: Call, routes: Routes, { path, method, args }: Command): unknown {
  const segments = ["nodes", call.node, ...String(path).split("/")].filter((part) => part !== "");
  const name = segments.join("/");
  if (routes.find(String(method), segments) === undefined)
    return { status: 500, message: `no handler for '${name}'\n` };
  const params: Params = {};
  if (typeof args === "object" && args !== null)
    for (const [key, value] of Object.entries(args)) params[key] = String(value);
  try {
    const answer = dispatch(call.world, routes, { method: String(method), segments, params, login: call.login });
    // what waits for a lock would hold up all that follow: PVE's own call ends so after its time-out
    return answer instanceof Promise
      ? { status: 500, message: "got timeout\n" }
      : { status: 200, data: answer.data ?? null };
  } catch (error) {
    const status = error instanceof ApiFault ? error.status : 500;
    const errors = error instanceof ApiFault ? error.errors : undefined;
    return { status, message: `${faultText(error)}\n`, ...(errors !== undefined && { errors }) };
  }
}

/** The call needs all others; they are given when the first request comes. */
export function executeCalls(routes: () => Routes): Handlers {
  return { "POST /nodes/{node}/execute": (call) => execute(call, routes()) };
}
