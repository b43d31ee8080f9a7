import { ApiFault, deny, fail } from "../fault.js";
import type { State } from "../state/model.js";
import { splitList, type Params } from "../table/check.js";
import type { Rule } from "../table/table.js";
import { isRoot, type Login } from "./login.js";
import { holds, normalisePath, require } from "./privileges.js";

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
    // inside an "or" an unknown user is a missing right as well
    if (error instanceof ApiFault && (error.status === 403 || error.message.startsWith("no such user"))) return false;
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

/** PVE's `verify_username`: a name without realm is a plain error, not a missing right. */
function verifyUser(userid: string): void {
  if (userid.length < 3) fail(`user name '${userid}' is too short`);
  if (!/^[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+$/.test(userid))
    fail(`value '${userid}' does not look like a valid user name`);
}

function checkUserParam(test: string, { state, login, params }: Question): void {
  const userid = text(params, "userid");
  verifyUser(userid);
  if (test === "self") {
    if (userid !== login.name) deny();
    return;
  }
  const realm = /@([^@]+)$/.exec(userid)?.[1] ?? "";
  require(state, login, `/access/realm/${realm}`, [test]);
}

function checkUserGroup(rest: readonly unknown[], { state, login, params }: Question): void {
  const [names, ...options] = rest as [string[], ...string[]];
  const groupsParam = options[0] === "groups_param" ? (options[1] ?? "update") : undefined;
  const userid = text(params, "userid");
  verifyUser(userid);
  const user = state.access.users[userid];
  if (groupsParam !== "create" && user === undefined) fail(`no such user ('${userid}')`);
  if (holds(state, login, "/access/groups", names, true)) return;
  const mayIn = (group: string): boolean => holds(state, login, `/access/groups/${group}`, names, true);
  if (groupsParam !== undefined) {
    const given = splitList(text(params, "groups"));
    if (given.length === 0) deny(`/access/groups, ${names.join("|")}`);
    for (const group of given) if (!mayIn(group)) deny(`/access/groups/${group}, ${names.join("|")}`);
  }
  if (groupsParam !== "create" && user?.groups.some(mayIn) !== true) deny();
}
