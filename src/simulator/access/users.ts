import type { Call, Handlers } from "../call.js";
import { ApiFault, fail, refuse } from "../fault.js";
import { isRoot } from "../auth/login.js";
import { hashPassword, isPassword } from "../auth/tickets.js";
import type { Token, User } from "../state/model.js";

/** What fails inside PVE's locked change has the change's name before it. */
export function within<T>(prefix: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof ApiFault && error.status === 500) fail(`${prefix}: ${error.message}`);
    throw error;
  }
}

const userOf = (call: Call, userid: string): User =>
  call.state.access.users[userid] ?? fail(`no such user ('${userid}')`);

const TEXTS = ["comment", "email", "firstname", "lastname", "keys"] as const;

function facts(user: User): Record<string, unknown> {
  const out: Record<string, unknown> = { enable: user.enable ? 1 : 0, expire: user.expire };
  for (const key of TEXTS) if (user[key] !== undefined) out[key] = user[key];
  return out;
}

const tokenFacts = (token: Token): Record<string, unknown> => ({
  privsep: token.privsep ? 1 : 0,
  expire: token.expire,
  ...(token.comment !== undefined && { comment: token.comment }),
});

/** Users that the caller may see: all with rights on groups, else itself and the members of its groups. */
function visible(call: Call): string[] {
  const names = ["User.Modify", "Sys.Audit"];
  const users = Object.keys(call.state.access.users);
  if (call.holds("/access/groups", names, true)) return users;
  return users.filter(
    (userid) =>
      userid === call.login.name ||
      (call.state.access.users[userid]?.groups ?? []).some((group) =>
        call.holds(`/access/groups/${group}`, names, true),
      ),
  );
}

function list(call: Call): unknown {
  const rows: Record<string, unknown>[] = [];
  for (const userid of visible(call)) {
    const user = userOf(call, userid);
    if (call.has("enabled") && call.flag("enabled") !== user.enable) continue;
    const type = call.state.access.realms[userid.split("@")[1] ?? ""]?.type;
    const row: Record<string, unknown> = { userid, ...facts(user), ...(type !== undefined && { "realm-type": type }) };
    if (call.flag("full")) {
      row["groups"] = user.groups.join(",");
      row["tokens"] = Object.entries(user.tokens).map(([tokenid, token]) => ({ tokenid, ...tokenFacts(token) }));
    }
    rows.push(row);
  }
  return rows;
}

function read(call: Call): unknown {
  const user = userOf(call, call.need("userid"));
  const tokens = Object.entries(user.tokens).map(([id, token]) => [id, tokenFacts(token)] as const);
  return { ...facts(user), groups: user.groups, tokens: tokens.length === 0 ? null : Object.fromEntries(tokens) };
}

function apply(call: Call, user: User): void {
  if (call.has("enable")) user.enable = call.flag("enable");
  if (call.has("expire")) user.expire = call.int("expire") ?? 0;
  for (const key of TEXTS) {
    const value = call.text(key);
    if (value !== undefined) user[key] = value === "" ? undefined : value;
  }
  if (!call.has("groups")) return;
  const groups = call.list("groups");
  for (const group of groups) if (call.state.access.groups[group] === undefined) fail(`no such group '${group}'`);
  user.groups = call.flag("append") ? [...new Set([...user.groups, ...groups])] : groups;
}

function create(call: Call): null {
  const userid = call.need("userid");
  within("create user failed", () => {
    if (call.state.access.users[userid] !== undefined) fail(`user '${userid}' already exists`);
    const user: User = { enable: true, expire: 0, groups: [], tokens: {} };
    apply(call, user);
    const password = call.text("password");
    if (password !== undefined) user.password = hashPassword(password);
    call.state.access.users[userid] = user;
  });
  call.world.changed();
  return null;
}

function update(call: Call): null {
  const user = userOf(call, call.need("userid"));
  within("update user failed", () => apply(call, user));
  call.world.changed();
  return null;
}

function remove(call: Call): null {
  const { access } = call.state;
  const userid = call.need("userid");
  userOf(call, userid);
  delete access.users[userid];
  access.acl = access.acl.filter((entry) => entry.ugid !== userid && !entry.ugid.startsWith(`${userid}!`));
  call.world.changed();
  return null;
}

/** PUT /access/password: others' passwords need one's own as a confirmation, but for root. */
function password(call: Call): null {
  const user = userOf(call, call.need("userid"));
  if (!isRoot(call.login)) {
    const confirmation = call.text("confirmation-password");
    if (confirmation === undefined) refuse({ "confirmation-password": "password is required to modify user" });
    if (!isPassword(call.state.access.users[call.login.userid]?.password, confirmation))
      throw new ApiFault(401, "authentication failure");
  }
  user.password = hashPassword(call.need("password"));
  call.world.changed();
  return null;
}

function tokenOf(call: Call): { user: User; id: string; token: Token } {
  const userid = call.need("userid");
  const user = userOf(call, userid);
  const id = call.need("tokenid");
  return { user, id, token: user.tokens[id] ?? fail(`no such token '${id}' for user '${userid}'`) };
}

/** The token's facts as a write answers them: what was given comes back as text. */
function given(call: Call, token: Token, defaults: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = { ...defaults, ...(token.comment !== undefined && { comment: token.comment }) };
  for (const key of ["privsep", "expire", "comment"]) if (call.has(key)) out[key] = call.text(key);
  return out;
}

function createToken(call: Call): unknown {
  const userid = call.need("userid");
  const user = userOf(call, userid);
  const id = call.need("tokenid");
  if (user.tokens[id] !== undefined) refuse({ tokenid: "Token already exists." });
  const token: Token = {
    secret: call.world.random.uuid(),
    privsep: call.flag("privsep", true),
    expire: call.int("expire") ?? 0,
  };
  const comment = call.text("comment");
  if (comment !== undefined) token.comment = comment;
  user.tokens[id] = token;
  call.world.changed();
  return { "full-tokenid": `${userid}!${id}`, value: token.secret, info: given(call, token, { privsep: 1 }) };
}

function updateToken(call: Call): unknown {
  const { token, id } = tokenOf(call);
  if (call.has("privsep")) token.privsep = call.flag("privsep");
  if (call.has("expire")) token.expire = call.int("expire") ?? 0;
  const comment = call.text("comment");
  if (comment !== undefined) token.comment = comment;
  call.world.changed();
  const info = given(call, token, { privsep: token.privsep ? 1 : 0, expire: token.expire });
  if (!call.flag("regenerate")) return info;
  token.secret = call.world.random.uuid();
  return { ...info, "full-tokenid": `${call.need("userid")}!${id}`, value: token.secret };
}

function removeToken(call: Call): null {
  const { user, id } = tokenOf(call);
  const name = `${call.need("userid")}!${id}`;
  delete user.tokens[id];
  call.state.access.acl = call.state.access.acl.filter((entry) => entry.ugid !== name);
  call.world.changed();
  return null;
}

export const userCalls: Handlers = {
  "GET /access/users": list,
  "POST /access/users": create,
  "GET /access/users/{userid}": read,
  "PUT /access/users/{userid}": update,
  "DELETE /access/users/{userid}": remove,
  "PUT /access/password": password,
  "GET /access/users/{userid}/token": (call) =>
    Object.entries(userOf(call, call.need("userid")).tokens).map(([tokenid, token]) => ({
      tokenid,
      ...tokenFacts(token),
    })),
  "GET /access/users/{userid}/token/{tokenid}": (call) => tokenFacts(tokenOf(call).token),
  "POST /access/users/{userid}/token/{tokenid}": createToken,
  "PUT /access/users/{userid}/token/{tokenid}": updateToken,
  "DELETE /access/users/{userid}/token/{tokenid}": removeToken,
  "PUT /access/users/{userid}/unlock-tfa": () => 0,
  "GET /access/users/{userid}/tfa": (call) => {
    userOf(call, call.need("userid"));
    return { realm: null, user: null };
  },
  "GET /access/tfa": () => [],
  "GET /access/tfa/{userid}": (call) => {
    userOf(call, call.need("userid"));
    return [];
  },
  "GET /access/tfa/{userid}/{id}": (call) => {
    throw new ApiFault(404, `No such tfa entry '${call.need("id")}'`);
  },
  "POST /access/tfa/{userid}": () => fail("the simulator knows no second factors"),
};
