import { createHash } from "node:crypto";
import { within } from "../access/users.js";
import type { Call, Handlers } from "../call.js";
import { fail, refuse } from "../fault.js";
import type { Document } from "../state/model.js";

/** High availability is kept, not played: resources and rules are there, guests are started by nobody. */
const RESOURCES = "ha-resources";
const RULES = "ha-rules";

const kept = (call: Call, kind: string): Record<string, Document> => (call.state.documents[kind] ??= {});

function digestOf(call: Call, kind: string): string {
  return createHash("sha1")
    .update(JSON.stringify(kept(call, kind)))
    .digest("hex");
}

const NUMBERS = new Set(["max_restart", "max_relocate", "failback", "disable", "strict", "order"]);

function shown(call: Call, kind: string, document: Document): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(document)) out[key] = NUMBERS.has(key) ? Number(value) : value;
  return { ...out, digest: digestOf(call, kind) };
}

/** `vm:100`, `ct:200`, or an id alone. */
function sidOf(call: Call): string {
  const sid = call.need("sid");
  if (sid.includes(":")) return sid;
  const guest = call.world.guest(Number(sid));
  if (guest === undefined) fail(`unable to detect SID from VMID - VM/CT ${sid} does not exist`);
  return `${guest.kind === "qemu" ? "vm" : "ct"}:${sid}`;
}

const FIELDS = ["state", "max_restart", "max_relocate", "failback", "comment"];

function given(call: Call, fields: readonly string[]): Document {
  const out: Document = {};
  for (const key of fields) {
    const value = call.text(key);
    if (value !== undefined) out[key] = key === "state" && value === "enabled" ? "started" : value;
  }
  return out;
}

function addResource(call: Call): null {
  const sid = sidOf(call);
  const [type = "", id = ""] = sid.split(":");
  const guest = call.world.guest(Number(id));
  if (guest === undefined) fail(`resource '${sid}' does not exist in cluster`);
  if ((guest.kind === "qemu") !== (type === "vm"))
    fail(`resource '${sid}' - guest with ID ${id} is not a ${type === "vm" ? "VM" : "container"}`);
  if (call.has("group")) fail("invalid parameter 'group': ha groups have been migrated to rules");
  within("create resource failed", () => {
    if (kept(call, RESOURCES)[sid] !== undefined) fail(`resource ID '${sid}' already defined`);
  });
  kept(call, RESOURCES)[sid] = { sid, type, ...given(call, FIELDS) };
  call.world.changed();
  return null;
}

function updateResource(call: Call): null {
  const sid = sidOf(call);
  const resource = within(
    "update resources config failed",
    () => kept(call, RESOURCES)[sid] ?? fail(`no such resource '${sid}'`),
  );
  for (const key of call.list("delete")) delete resource[key];
  Object.assign(resource, given(call, FIELDS));
  call.world.changed();
  return null;
}

function removeResource(call: Call): null {
  const sid = sidOf(call);
  if (kept(call, RESOURCES)[sid] === undefined) fail(`cannot delete service '${sid}', not HA managed!`);
  delete kept(call, RESOURCES)[sid];
  call.world.changed();
  return null;
}

function moveResource(call: Call): unknown {
  const sid = sidOf(call);
  if (kept(call, RESOURCES)[sid] === undefined) fail(`resource '${sid}' is not HA managed`);
  return { sid, "requested-node": call.need("node") };
}

const RULE_FIELDS = ["type", "resources", "nodes", "strict", "affinity", "comment", "disable"];

function addRule(call: Call): null {
  const name = call.need("rule");
  const type = call.need("type");
  if (type === "node-affinity" && !call.has("nodes"))
    refuse({ "oneOf[node-affinity].nodes": "property is missing and it is not optional" });
  if (type === "resource-affinity" && !call.has("affinity"))
    refuse({ "oneOf[resource-affinity].affinity": "property is missing and it is not optional" });
  within("create ha rule failed", () => {
    if (kept(call, RULES)[name] !== undefined) fail(`HA rule '${name}' already defined`);
    const unmanaged = call.list("resources").filter((sid) => kept(call, RESOURCES)[sid] === undefined);
    if (unmanaged.length > 0) fail(`cannot use unmanaged resource(s) ${unmanaged.join(", ")}.`);
    const missing = call
      .list("nodes")
      .map((node) => node.replace(/:.*$/, ""))
      .filter((node) => call.world.node(node) === undefined);
    if (missing.length > 0) fail(`cannot use non-existent node(s) ${missing.join(", ")}.`);
  });
  const order = String(Object.keys(kept(call, RULES)).length + 1);
  kept(call, RULES)[name] = { rule: name, ...given(call, RULE_FIELDS), order };
  call.world.changed();
  return null;
}

function updateRule(call: Call): null {
  const name = call.need("rule");
  const rule = within(
    "update HA rules failed",
    () => kept(call, RULES)[name] ?? fail(`HA rule '${name}' does not exist`),
  );
  for (const key of call.list("delete")) delete rule[key];
  Object.assign(rule, given(call, RULE_FIELDS));
  call.world.changed();
  return null;
}

const noGroups = (verb: string) => (): never => fail(`cannot ${verb}: ha groups have been migrated to rules`);

function currentStatus(call: Call): unknown {
  const nodes = Object.keys(call.state.nodes);
  const quorum = { id: "quorum", type: "quorum", node: nodes[0], status: "OK", quorate: 1 };
  const services = Object.values(kept(call, RESOURCES)).map((resource) => {
    const sid = String(resource["sid"]);
    const guest = call.world.guest(Number(sid.split(":")[1]));
    const state = typeof resource["state"] === "string" ? resource["state"] : "started";
    return {
      id: `service:${sid}`,
      type: "service",
      sid,
      node: guest?.node,
      state,
      request_state: state,
      status: `${sid} (${guest?.node ?? ""}, ${state})`,
    };
  });
  return [quorum, ...services];
}

export const haCalls: Handlers = {
  "GET /cluster/ha/resources": (call) => {
    const type = call.text("type");
    return Object.values(kept(call, RESOURCES))
      .filter((resource) => type === undefined || resource["type"] === type)
      .map((resource) => shown(call, RESOURCES, resource));
  },
  "POST /cluster/ha/resources": addResource,
  "GET /cluster/ha/resources/{sid}": (call) =>
    shown(call, RESOURCES, kept(call, RESOURCES)[sidOf(call)] ?? fail(`no such resource '${call.need("sid")}'`)),
  "PUT /cluster/ha/resources/{sid}": updateResource,
  "DELETE /cluster/ha/resources/{sid}": removeResource,
  "POST /cluster/ha/resources/{sid}/migrate": moveResource,
  "POST /cluster/ha/resources/{sid}/relocate": moveResource,
  "GET /cluster/ha/rules": (call) => Object.values(kept(call, RULES)).map((rule) => shown(call, RULES, rule)),
  "POST /cluster/ha/rules": addRule,
  "GET /cluster/ha/rules/{rule}": (call) =>
    shown(call, RULES, kept(call, RULES)[call.need("rule")] ?? fail(`no such ha rule '${call.need("rule")}'`)),
  "PUT /cluster/ha/rules/{rule}": updateRule,
  "DELETE /cluster/ha/rules/{rule}": (call) => {
    delete kept(call, RULES)[call.need("rule")];
    call.world.changed();
    return null;
  },
  "GET /cluster/ha/groups": noGroups("index groups"),
  "POST /cluster/ha/groups": noGroups("create group"),
  "GET /cluster/ha/groups/{group}": noGroups("read group"),
  "PUT /cluster/ha/groups/{group}": noGroups("update group"),
  "DELETE /cluster/ha/groups/{group}": noGroups("delete group"),
  "GET /cluster/ha/status": () => ["current", "manager_status", "disarm-ha", "arm-ha"].map((name) => ({ name })),
  "GET /cluster/ha/status/current": currentStatus,
  "GET /cluster/ha/status/manager_status": () => ({ manager_status: {}, quorum: { quorate: 1 }, lrm_status: {} }),
};
