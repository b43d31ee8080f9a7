import type { Login } from "../auth/login.js";
import { checkRule } from "../auth/rules.js";
import { Call, type Extras } from "../call.js";
import { needQuorum } from "../cluster/quorum.js";
import { ApiFault, fail, refuse } from "../fault.js";
import { Held } from "../state/locks.js";
import { checkCall, type Params } from "../table/check.js";
import type { World } from "../world.js";
import { PlainFault, type Upload } from "./body.js";
import type { Routes } from "./routes.js";

export interface ApiRequest {
  readonly method: string;
  /** Path below the format, already split and unescaped. */
  readonly segments: readonly string[];
  readonly params: Params;
  readonly login: Login | undefined;
  readonly upload?: Upload | undefined;
}

export interface ApiAnswer {
  readonly data: unknown;
  readonly extras: Extras;
}

/** The node that answers, when the path names none. */
const localNode = (world: World): string => Object.keys(world.state.nodes)[0] ?? "pve1";

/**
 * PVE's order of a request after the log-in: method and path (501), permission (403), proxying to the node
 * (595, 500), parameters (400), then the call's own checks. [BEHAVIOUR section 2]
 */
export function dispatch(world: World, routes: Routes, request: ApiRequest): ApiAnswer | Promise<ApiAnswer> {
  const call = prepare(world, routes, request);
  try {
    return { data: call.run(), extras: call.call.extras };
  } catch (error) {
    if (error instanceof Held) return retry(world, call, error);
    throw error;
  }
}

interface Prepared {
  readonly call: Call;
  readonly run: () => unknown;
}

function prepare(world: World, routes: Routes, { method, segments, params, login, upload }: ApiRequest): Prepared {
  const path = `/${segments.join("/")}`;
  const found = /\s/.test(path) ? undefined : routes.find(method, segments);
  if (found === undefined) throw new ApiFault(501, `Method '${method} ${path}' not implemented`);
  const { route, variables } = found;
  const doubled: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables))
    if (params[name] !== undefined && params[name] !== value)
      doubled[name] = "duplicate parameter (already defined in URI) with conflicting values!";
  if (Object.keys(doubled).length > 0) refuse(doubled);
  const all: Params = { ...params, ...variables };
  const caller = login ?? { name: "", userid: "", by: "ticket" };
  if (route.shape.noToken === true && caller.tokenid !== undefined)
    throw new ApiFault(
      403,
      `Permission check failed (URI '${path}' not available with API token, need proper ticket.\n)`,
    );
  try {
    checkRule(route.shape.allow, { state: world.state, login: caller, params: all });
  } catch (error) {
    // an upload is refused while its head is read, before there is a formatter
    if (upload !== undefined && error instanceof ApiFault) throw new PlainFault(error.status, error.message, "");
    throw error;
  }
  const node = route.shape.node === true ? answering(world, variables["node"] ?? "") : localNode(world);
  const faults = checkCall(all, route.shape);
  if (Object.keys(faults).length > 0) refuse(faults);
  const call = new Call(world, caller, { node, path, params: all, upload });
  const asked = { method, pattern: route.pattern, path };
  return {
    call,
    run: () => {
      needQuorum(world.state, asked);
      return route.handler(call);
    },
  };
}

/** The node in the path; an unknown one fails as a name that nobody resolves, an offline one as a dead host. */
function answering(world: World, name: string): string {
  const wanted = name === "localhost" ? localNode(world) : name;
  const node = world.node(wanted);
  if (node === undefined)
    fail(`hostname lookup '${name}' failed - failed to get address info for: ${name}: Name or service not known`);
  if (!node.online) throw new ApiFault(595, "No route to host");
  return wanted;
}

function retry(world: World, prepared: Prepared, held: Held): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    let stop: () => void = () => undefined;
    const cancel = world.after(held.wait, () => {
      stop();
      reject(new ApiFault(500, held.text));
    });
    const again = (): void => {
      try {
        const data = prepared.run();
        cancel();
        resolve({ data, extras: prepared.call.extras });
      } catch (error) {
        if (error instanceof Held) stop = world.locks.onRelease(error.key, again);
        else {
          cancel();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      }
    };
    stop = world.locks.onRelease(held.key, again);
  });
}
