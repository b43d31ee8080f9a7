import { createHash } from "node:crypto";
import type { Call, Handlers } from "../call.js";
import { fail } from "../fault.js";
import type { Realm } from "../state/model.js";
import { CALL_SHAPES } from "../table/table.js";
import { within } from "./users.js";

const SHAPE = CALL_SHAPES.get("POST /access/domains")?.params ?? {};
const CONTROL = new Set(["realm", "type", "comment", "delete", "digest"]);
const BUILT_IN = new Set(["pam", "pve"]);

function list(call: Call): unknown {
  return Object.entries(call.state.access.realms).map(([realm, { type, comment }]) => ({
    realm,
    type,
    ...(comment !== undefined && { comment }),
  }));
}

const realmOf = (call: Call): Realm => {
  const name = call.need("realm");
  return call.state.access.realms[name] ?? fail(`domain '${name}' does not exist`);
};

function digestOf(call: Call): string {
  const own = Object.entries(call.state.access.realms).filter(([name]) => !BUILT_IN.has(name));
  return createHash("sha1")
    .update(own.length === 0 ? "" : JSON.stringify(own))
    .digest("hex");
}

function read(call: Call): unknown {
  const { type, comment, config } = realmOf(call);
  const shown: Record<string, string | number> = {};
  for (const [key, value] of Object.entries(config)) {
    const kind = SHAPE[key]?.type;
    shown[key] = kind === "boolean" || kind === "integer" ? Number(value) : value;
  }
  return {
    type,
    ...(comment !== undefined && { comment }),
    ...(type === "pam" && { plugin: "PVE::Auth::PAM" }),
    ...shown,
    digest: digestOf(call),
  };
}

function settings(call: Call): Record<string, string> {
  const out: Record<string, string> = {};
  for (const key of Object.keys(call.params)) if (!CONTROL.has(key)) out[key] = call.need(key);
  return out;
}

function create(call: Call): null {
  const name = call.need("realm");
  const type = call.need("type");
  within("add auth server failed", () => {
    if (call.state.access.realms[name] !== undefined) fail(`domain '${name}' already exists`);
    if (BUILT_IN.has(type)) fail(`unable to create builtin type '${type}'`);
    if (type === "openid")
      for (const key of ["issuer-url", "client-id"])
        if (!call.has(key)) fail(`missing value for required option '${key}'`);
  });
  const comment = call.text("comment");
  call.state.access.realms[name] = { type, config: settings(call), ...(comment !== undefined && { comment }) };
  call.world.changed();
  return null;
}

function update(call: Call): null {
  const realm = realmOf(call);
  for (const key of call.list("delete")) {
    if (key === "comment") realm.comment = undefined;
    else delete realm.config[key];
  }
  Object.assign(realm.config, settings(call));
  const comment = call.text("comment");
  if (comment !== undefined) realm.comment = comment;
  call.world.changed();
  return null;
}

function remove(call: Call): null {
  const name = call.need("realm");
  within("delete auth server failed", () => {
    if (call.state.access.realms[name] === undefined) fail(`authentication domain '${name}' does not exist`);
  });
  delete call.state.access.realms[name];
  call.world.changed();
  return null;
}

export const domainCalls: Handlers = {
  "GET /access/domains": list,
  "POST /access/domains": create,
  "GET /access/domains/{realm}": read,
  "PUT /access/domains/{realm}": update,
  "DELETE /access/domains/{realm}": remove,
  "POST /access/domains/{realm}/sync": (call) =>
    fail(`Cannot sync realm type '${realmOf(call).type}'! Only LDAP/AD realms can be synced.`),
};
