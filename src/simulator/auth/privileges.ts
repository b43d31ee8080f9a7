import { deny } from "../fault.js";
import type { AclEntry, State } from "../state/model.js";
import { ROOT, type Login } from "./login.js";
import { ALL_PRIVILEGES, isOwnRole, rolePrivileges } from "./roles.js";

/** Privilege → whether it propagates further down. */
export type Privileges = ReadonlyMap<string, boolean>;

const ROOT_PRIVILEGES: Privileges = new Map(ALL_PRIVILEGES.map((name) => [name, true]));

/** PVE's `normalize_path`; undefined for what is no ACL path. */
export function normalisePath(path: string): string | undefined {
  const clean = `/${path.replace(/^\/+|\/+$/g, "").replace(/\/+/g, "/")}`;
  return /^[\p{L}\p{N}.\-_/]+$/u.test(clean) ? clean : undefined;
}

/** What a log-in holds on a path (BEHAVIOUR section 2): deepest entry wins, tokens are cut to their own entries. */
export function privilegesOn(state: State, login: Login, path: string): Privileges {
  const ofUser = login.userid === ROOT ? ROOT_PRIVILEGES : privilegesOf(state, login.userid, path);
  if (login.tokenid === undefined) return ofUser;
  const token = state.access.users[login.userid]?.tokens[login.tokenid];
  if (token === undefined) return new Map();
  if (!token.privsep) return ofUser;
  const own = privilegesOf(state, login.name, path);
  return new Map([...own].filter(([name]) => ofUser.has(name)));
}

function privilegesOf(state: State, who: string, path: string): Privileges {
  const roles = rolesOn(state, who, path);
  for (const pool of poolsOf(state, path))
    for (const [role, propagate] of rolesOn(state, who, `/pool/${pool}`))
      if (propagate && !roles.has(role)) roles.set(role, false);
  if (roles.has("NoAccess")) return new Map();
  if (state.access.withheld === undefined && [...roles.keys()].every(isOwnRole)) return ownPrivileges(state, roles);
  return privilegesIn(state, roles);
}

const known = new Map<string, Privileges>();

/** Of PVE's own roles, computed once: it is asked for every guest of every list. */
function ownPrivileges(state: State, roles: ReadonlyMap<string, boolean>): Privileges {
  const key = [...roles].join(";");
  const found = known.get(key) ?? privilegesIn(state, roles);
  known.set(key, found);
  return found;
}

function privilegesIn(state: State, roles: ReadonlyMap<string, boolean>): Privileges {
  const out = new Map<string, boolean>();
  for (const [role, propagate] of roles)
    for (const name of rolePrivileges(state.access, role) ?? []) out.set(name, propagate || (out.get(name) ?? false));
  for (const name of state.access.withheld ?? []) out.delete(name);
  return out;
}

/** PVE's `roles`: role → propagates, for a user or a token's own entries. */
function rolesOn(state: State, who: string, path: string): Map<string, boolean> {
  const groups = new Set(state.access.users[who]?.groups ?? []);
  const isToken = who.includes("!");
  let roles = new Map<string, boolean>();
  for (const level of levels(path)) {
    const here = state.access.acl.filter((entry) => entry.path === level && (entry.propagate || level === path));
    const own = here.filter((entry) => entry.type === (isToken ? "token" : "user") && entry.ugid === who);
    const found = own.length > 0 ? own : here.filter((entry) => entry.type === "group" && groups.has(entry.ugid));
    if (found.length > 0) roles = asRoles(found);
  }
  return roles;
}

const asRoles = (entries: readonly AclEntry[]): Map<string, boolean> =>
  new Map(entries.map((entry) => [entry.roleid, entry.propagate]));

/** `/vms/100` → `/`, `/vms`, `/vms/100`. */
function levels(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return ["/", ...parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`)];
}

function poolsOf(state: State, path: string): string[] {
  const member = /^\/(vms|storage)\/([^/]+)$/.exec(path);
  if (member === null) return [];
  const [, kind, id = ""] = member;
  return Object.entries(state.pools)
    .filter(([, pool]) => (kind === "vms" ? pool.vms.includes(Number(id)) : pool.storages.includes(id)))
    .map(([name]) => name);
}

/** Whether the log-in holds all (or, with `any`, one) of the privileges on the path. */
export function holds(state: State, login: Login, path: string, names: readonly string[], any = false): boolean {
  const held = privilegesOn(state, login, path);
  return any ? names.some((name) => held.has(name)) : names.every((name) => held.has(name));
}

/** Refuses with PVE's text: the first missing privilege, or all of an "any" check. */
export function require(state: State, login: Login, path: string, names: readonly string[], any = false): void {
  const held = privilegesOn(state, login, path);
  if (any) {
    if (!names.some((name) => held.has(name))) deny(`${path}, ${names.join("|")}`);
    return;
  }
  const missing = names.find((name) => !held.has(name));
  if (missing !== undefined) deny(`${path}, ${missing}`);
}
