import type { Call, Handlers } from "../call.js";
import { ApiFault } from "../fault.js";
import { isUsable, parseLogin } from "../auth/login.js";
import { holds, privilegesOn } from "../auth/privileges.js";
import { isPassword, makeCsrf, makeTicket, ticketUser } from "../auth/tickets.js";
import type { State } from "../state/model.js";
import { splitList } from "../table/check.js";
import type { Login } from "../auth/login.js";

const denied = (): never => {
  throw new ApiFault(401, "authentication failure");
};

/** Which privileges count for which part of PVE's web page (`compute_api_permission`). */
const PARTS: readonly (readonly [string, RegExp])[] = [
  ["vms", /^(VM\.|Permissions\.Modify$)/],
  ["storage", /^(Datastore\.|Permissions\.Modify$)/],
  ["access", /^(User\.|Group\.|Permissions\.Modify$)/],
  ["nodes", /^(Sys\.|Permissions\.Modify$)/],
  ["sdn", /^(SDN\.|Permissions\.Modify$)/],
  ["dc", /^(Sys\.Audit|Sys\.Modify|SDN\.)/],
  ["mapping", /^(Mapping\.|Permissions\.Modify$)/],
];
const PATHS: Record<string, RegExp> = {
  vms: /^\/(vms|pool)/,
  storage: /^\/storage/,
  access: /^\/access/,
  nodes: /^\/nodes/,
  sdn: /^\/sdn/,
  dc: /^\/$/,
  mapping: /^\/mapping/,
};

function capabilities(state: State, login: Login): Record<string, Record<string, 1>> {
  const out: Record<string, Record<string, 1>> = {};
  const paths = ["/", ...state.access.acl.map((entry) => entry.path)];
  for (const [part, wanted] of PARTS) {
    const here: Record<string, 1> = {};
    for (const path of paths) {
      if (path !== "/" && PATHS[part]?.test(path) !== true) continue;
      for (const name of privilegesOn(state, login, path).keys()) if (wanted.test(name)) here[name] = 1;
    }
    out[part] = here;
  }
  return out;
}

/** POST /access/ticket; an old ticket counts as a password. */
function createTicket(call: Call): unknown {
  const { world, state } = call;
  const given = call.need("username");
  const realm = call.text("realm");
  const userid = realm !== undefined && !given.includes("@") ? `${given}@${realm}` : given;
  const login = parseLogin(userid, "ticket");
  if (login.tokenid !== undefined || !isUsable(state, login, world.seconds())) denied();
  const password = call.need("password");
  const user = state.access.users[userid];
  if (!isPassword(user?.password, password) && ticketUser(world, password) !== userid) denied();
  const path = call.text("path");
  const privileges = splitList(call.text("privs") ?? "");
  const cap = capabilities(state, login);
  if (path !== undefined) {
    if (!holds(state, login, path, privileges)) denied();
    return { username: userid, cap };
  }
  const clustername = state.cluster.name;
  return {
    username: userid,
    ticket: makeTicket(world, userid),
    CSRFPreventionToken: makeCsrf(world, userid),
    cap,
    ...(clustername !== undefined && { clustername }),
  };
}

/** GET /access/permissions: what the caller (or another, with Sys.Audit on /access) holds. */
function permissions(call: Call): unknown {
  const { state } = call;
  const userid = call.text("userid") ?? call.login.name;
  if (userid !== call.login.name) {
    const own = userid === call.login.userid && call.login.tokenid === undefined;
    const ownToken = call.login.tokenid === undefined && userid.startsWith(`${call.login.userid}!`);
    if (!own && !ownToken) call.require("/access", ["Sys.Audit"]);
  }
  const login = parseLogin(userid, "inside");
  const path = call.text("path");
  const paths = path !== undefined ? [path] : permissionPaths(state);
  const out: Record<string, Record<string, 0 | 1>> = {};
  for (const one of paths) {
    const held = one.startsWith("/") ? privilegesOn(state, login, one) : new Map<string, boolean>();
    if (held.size > 0 || path !== undefined)
      out[one] = Object.fromEntries([...held].map(([name, propagate]) => [name, propagate ? 1 : 0]));
  }
  return out;
}

/** The paths that PVE's page shows, and those with entries. */
function permissionPaths(state: State): string[] {
  const fixed = [
    "/",
    "/access",
    "/access/groups",
    "/access/realm",
    "/mapping",
    "/mapping/dir",
    "/mapping/hwrng",
    "/mapping/pci",
    "/mapping/usb",
    "/nodes",
    "/pool",
    "/sdn",
    "/storage",
    "/vms",
  ];
  const paths = new Set([...fixed, ...state.access.acl.map((entry) => entry.path)]);
  for (const name of Object.keys(state.pools)) {
    const pool = state.pools[name];
    const entry = state.access.acl.some((acl) => acl.path === `/pool/${name}`);
    if (!entry || pool === undefined) continue;
    for (const vmid of pool.vms) paths.add(`/vms/${vmid}`);
    for (const storage of pool.storages) paths.add(`/storage/${storage}`);
  }
  return [...paths];
}

export const ticketCalls: Handlers = {
  "GET /access/ticket": () => null,
  "POST /access/ticket": createTicket,
  "GET /access/permissions": permissions,
};
