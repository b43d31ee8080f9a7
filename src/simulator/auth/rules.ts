import { ApiFault, deny } from "../fault.js";
import type { State } from "../state/model.js";
import type { Params } from "../table/check.js";
import type { Rule } from "../table/table.js";
import { isRoot, parseLogin, type Login } from "./login.js";
import { holds, normalisePath, privilegesOn, require } from "./privileges.js";

interface Question {
  readonly state: State;
  readonly login: Login;
  readonly params: Params;
}

const text = (params: Params, name: string): string => {
  const value = params[name];
  return typeof value === "string" ? value : (value?.join("\0") ?? "");
};

/** Tests a call's permission rule before its parameters are checked; throws PVE's 403. */
export function checkRule(rule: Rule, question: Question): void {
  if (rule === "world" || rule === "all") return;
  if (question.login.userid === "root@pam" && rule !== "root") return;
  if (rule === "root") {
    if (!isRoot(question.login)) deny("user != root@pam");
    return;
  }
  checkExpression(rule, question);
}

function checkExpression(rule: readonly unknown[], question: Question): void {
  const [kind, ...rest] = rule;
  switch (kind) {
    case "and":
      for (const part of rest) checkExpression(part as unknown[], question);
      return;
    case "or":
      if (!rest.some((part) => passes(part as unknown[], question))) deny();
      return;
    case "perm":
      checkPrivileges(rest, question);
      return;
    case "perm-modify":
      checkPermModify(String(rest[0]), question);
      return;
    case "userid-param":
      checkUserParam(String(rest[0]), question);
      return;
    case "userid-group":
      checkUserGroup(rest, question);
      return;
    default:
      deny();
  }
}

function passes(rule: readonly unknown[], question: Question): boolean {
  try {
    checkExpression(rule, question);
    return true;
  } catch (error) {
    if (error instanceof ApiFault && error.status === 403) return false;
    throw error;
  }
}

function checkPrivileges(rest: readonly unknown[], { state, login, params }: Question): void {
  const [template, names, ...options] = rest as [string, string[], ...unknown[]];
  const any = options[0] === "any";
  if (options[0] === "require_param" && params[String(options[1])] === undefined) deny();
  const filled = template.replace(/\{([^}]+)\}/g, (_, name: string) => text(params, name));
  const path = normalisePath(filled);
  if (path === undefined) deny(`, ${any ? names.join("|") : (names[0] ?? "")}`);
  require(state, login, path, names, any);
}

/** ACL changes: Permissions.Modify, or the allocate privilege of the path's kind for what one holds oneself. */
function checkPermModify(template: string, { state, login, params }: Question): void {
  const given = template.replace(/\{([^}]+)\}/g, (_, name: string) => text(params, name));
  const path = normalisePath(given);
  if (path === undefined) return;
  const allocate: Record<string, string> = {
    storage: "Datastore.Allocate",
    vms: "VM.Allocate",
    pool: "Pool.Allocate",
  };
  const names = ["Permissions.Modify"];
  const more = allocate[path.split("/")[1] ?? ""];
  if (more !== undefined) names.push(more);
  require(state, login, path, names, true);
}

function checkUserParam(test: string, { state, login, params }: Question): void {
  const userid = text(params, "userid");
  if (test === "self") {
    if (login.tokenid !== undefined || userid !== login.userid) deny();
    return;
  }
  const realm = /@([^@]+)$/.exec(userid)?.[1] ?? "";
  require(state, login, `/access/realm/${realm}`, [test]);
}

function checkUserGroup(rest: readonly unknown[], { state, login, params }: Question): void {
  const [names, ...options] = rest as [string[], ...string[]];
  const groupsParam = options[0] === "groups_param" ? (options[1] ?? "create") : undefined;
  if (holds(state, login, "/access/groups", names, true) && groupsParam === undefined) return;
  const given = text(params, "groups")
    .split(/[,;\s\0]+/)
    .filter((group) => group !== "");
  if (groupsParam === "create") {
    if (given.length === 0) require(state, login, "/access/groups", names, true);
    for (const group of given) require(state, login, `/access/groups/${group}`, names, true);
    return;
  }
  const groups = state.access.users[text(params, "userid")]?.groups ?? [];
  const allowed =
    holds(state, login, "/access/groups", names, true) ||
    groups.some((group) => holds(state, login, `/access/groups/${group}`, names, true));
  if (!allowed) deny(`/access/groups, ${names.join("|")}`);
  if (groupsParam === "update")
    for (const group of given) require(state, login, `/access/groups/${group}`, names, true);
}

/** Whether another login's permissions may be shown to this one. */
export function permissionsOf(
  state: State,
  name: string,
  paths: readonly string[],
): Record<string, Record<string, 0 | 1>> {
  const login = parseLogin(name, "inside");
  const out: Record<string, Record<string, 0 | 1>> = {};
  for (const path of paths) {
    const held = privilegesOn(state, login, path);
    if (held.size > 0) out[path] = Object.fromEntries([...held].map(([key, propagate]) => [key, propagate ? 1 : 0]));
  }
  return out;
}
