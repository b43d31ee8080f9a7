import type { Call, Handlers } from "../call.js";
import { deny, fail, refuse } from "../fault.js";
import { normalisePath } from "../auth/privileges.js";
import { rolePrivileges, SPECIAL_ROLES } from "../auth/roles.js";
import type { AclEntry } from "../state/model.js";
import { within } from "./users.js";

const NAME = "[A-Za-z0-9.\\-_]+";
/** Where PVE lets ACL entries be (`check_path`). */
const ACL_PATH = new RegExp(
  `^(/|/access(/(groups|realm)(/${NAME})?)?|/mapping(/(hwrng|cpu|dir|pci|usb)(/${NAME})?)?|/nodes(/${NAME})?|/pool(/${NAME}){0,3}` +
    `|/sdn(/(controllers|dns|fabrics|ipams|prefix-lists|route-maps)(/${NAME})?|/zones(/${NAME}(/${NAME}(/[1-9][0-9]{0,3})?)?)?)?|/storage(/${NAME})?|/vms(/[1-9][0-9]{2,})?)$`,
);

function listRoles(call: Call): unknown {
  const all = { ...SPECIAL_ROLES, ...call.state.access.roles };
  return Object.entries(all).map(([roleid, privs]) => ({
    roleid,
    privs: [...privs].sort().join(","),
    ...(SPECIAL_ROLES[roleid] !== undefined && { special: 1 }),
  }));
}

function readRole(call: Call): unknown {
  const role = call.need("roleid");
  const privileges = rolePrivileges(call.state.access, role) ?? fail(`role '${role}' does not exist`);
  return Object.fromEntries(privileges.map((name) => [name, 1]));
}

function createRole(call: Call): null {
  const role = call.need("roleid");
  if (/^PVE/i.test(role)) refuse({ roleid: "cannot use role ID starting with the (case-insensitive) 'PVE' namespace" });
  within("create role failed", () => {
    if (rolePrivileges(call.state.access, role) !== undefined) fail(`role '${role}' already exists`);
  });
  call.state.access.roles[role] = call.list("privs");
  call.world.changed();
  return null;
}

function changeableRole(call: Call, verb: "modified" | "deleted"): { role: string; privileges: string[] } {
  const role = call.need("roleid");
  if (SPECIAL_ROLES[role] !== undefined) fail(`auto-generated role '${role}' cannot be ${verb}`);
  const action = verb === "modified" ? "update" : "delete";
  const privileges = within(
    `${action} role failed`,
    () => call.state.access.roles[role] ?? fail(`role '${role}' does not exist`),
  );
  return { role, privileges };
}

function updateRole(call: Call): null {
  const { role, privileges } = changeableRole(call, "modified");
  const next = call.list("privs");
  call.state.access.roles[role] = call.flag("append") ? [...new Set([...privileges, ...next])] : next;
  call.world.changed();
  return null;
}

function removeRole(call: Call): null {
  const { role } = changeableRole(call, "deleted");
  const { access } = call.state;
  delete access.roles[role];
  access.acl = access.acl.filter((entry) => entry.roleid !== role);
  call.world.changed();
  return null;
}

const members = (call: Call, group: string): string[] =>
  Object.entries(call.state.access.users)
    .filter(([, user]) => user.groups.includes(group))
    .map(([userid]) => userid);

function listGroups(call: Call): unknown {
  const names = ["User.Modify", "Sys.Audit", "Group.Allocate"];
  return Object.entries(call.state.access.groups)
    .filter(([group]) => call.holds(`/access/groups/${group}`, names, true))
    .map(([groupid, { comment }]) => ({
      groupid,
      users: members(call, groupid).join(","),
      ...(comment !== undefined && { comment }),
    }));
}

function knownGroup(call: Call, action?: string): string {
  const group = call.need("groupid");
  const check = (): void => {
    if (call.state.access.groups[group] === undefined) fail(`group '${group}' does not exist`);
  };
  if (action === undefined) check();
  else within(`${action} group failed`, check);
  return group;
}

function readGroup(call: Call): unknown {
  const group = knownGroup(call);
  const comment = call.state.access.groups[group]?.comment;
  return { members: members(call, group), ...(comment !== undefined && { comment }) };
}

function createGroup(call: Call): null {
  const group = call.need("groupid");
  within("create group failed", () => {
    if (call.state.access.groups[group] !== undefined) fail(`group '${group}' already exists`);
  });
  const comment = call.text("comment");
  call.state.access.groups[group] = comment === undefined ? {} : { comment };
  call.world.changed();
  return null;
}

function updateGroup(call: Call): null {
  const group = knownGroup(call, "update");
  const comment = call.text("comment");
  if (comment !== undefined) call.state.access.groups[group] = comment === "" ? {} : { comment };
  call.world.changed();
  return null;
}

function removeGroup(call: Call): null {
  const group = knownGroup(call, "delete");
  const { access } = call.state;
  delete access.groups[group];
  for (const user of Object.values(access.users)) user.groups = user.groups.filter((name) => name !== group);
  access.acl = access.acl.filter((entry) => entry.type !== "group" || entry.ugid !== group);
  call.world.changed();
  return null;
}

function listAcl(call: Call): unknown {
  const audit = call.holds("/access", ["Sys.Audit"]);
  return call.state.access.acl
    .filter((entry) => audit || call.holds(entry.path, ["Permissions.Modify"]))
    .map(({ path, type, ugid, roleid, propagate }) => ({ path, type, ugid, roleid, propagate: propagate ? 1 : 0 }));
}

/** Whom and what an ACL change names, each of them known. */
function targets(call: Call): Pick<AclEntry, "type" | "ugid">[] {
  const { users, groups } = call.state.access;
  const found: Pick<AclEntry, "type" | "ugid">[] = [];
  for (const group of call.list("groups")) {
    if (groups[group] === undefined) fail(`group '${group}' does not exist`);
    found.push({ type: "group", ugid: group });
  }
  for (const userid of call.list("users")) {
    if (users[userid] === undefined) fail(`user '${userid}' does not exist`);
    found.push({ type: "user", ugid: userid });
  }
  for (const name of call.list("tokens")) {
    const [userid = "", tokenid = ""] = name.split("!");
    if (users[userid] === undefined) fail(`user '${userid}' does not exist`);
    if (users[userid].tokens[tokenid] === undefined) fail(`no such token '${tokenid}' for user '${userid}'`);
    found.push({ type: "token", ugid: name });
  }
  return found;
}

function updateAcl(call: Call): null {
  if (!call.has("users") && !call.has("groups") && !call.has("tokens")) {
    const text = "either 'users', 'groups' or 'tokens' is required.";
    refuse({ users: text, groups: text, tokens: text });
  }
  const given = call.need("path");
  const path = normalisePath(given);
  if (path === undefined || !ACL_PATH.test(path)) refuse({ path: `invalid ACL path '${given}'` });
  const remove = call.flag("delete");
  const { access } = call.state;
  within("ACL update failed", () => {
    const roles = call.list("roles");
    for (const role of roles) {
      const privileges = rolePrivileges(access, role) ?? fail(`role '${role}' does not exist`);
      mayGive(call, path, privileges);
    }
    const propagate = call.flag("propagate", true);
    for (const target of targets(call))
      for (const roleid of roles) {
        access.acl = access.acl.filter(
          (e) => !(e.path === path && e.type === target.type && e.ugid === target.ugid && e.roleid === roleid),
        );
        if (!remove) access.acl.push({ path, ...target, roleid, propagate });
      }
  });
  call.world.changed();
  return null;
}

/** Without Permissions.Modify one gives only what one holds oneself, and propagating. */
function mayGive(call: Call, path: string, privileges: readonly string[]): void {
  if (call.holds(path, ["Permissions.Modify"])) return;
  if (!call.holds(path, privileges)) deny(`${path}, Permissions.Modify`);
}

export const aclCalls: Handlers = {
  "GET /access/roles": listRoles,
  "POST /access/roles": createRole,
  "GET /access/roles/{roleid}": readRole,
  "PUT /access/roles/{roleid}": updateRole,
  "DELETE /access/roles/{roleid}": removeRole,
  "GET /access/groups": listGroups,
  "POST /access/groups": createGroup,
  "GET /access/groups/{groupid}": readGroup,
  "PUT /access/groups/{groupid}": updateGroup,
  "DELETE /access/groups/{groupid}": removeGroup,
  "GET /access/acl": listAcl,
  "PUT /access/acl": updateAcl,
};
