import { within } from "../access/users.js";
import type { Call, Handlers } from "../call.js";
import { fail } from "../fault.js";
import type { Document } from "../state/model.js";
import { splitList } from "../table/check.js";
import { change, fullSid, given, infeasible, kept, shown } from "./ha-kept.js";

const RULES = "ha-rules";
const FIELDS = ["resources", "nodes", "strict", "affinity", "comment", "disable"];

const listOf = (rule: Document, key: string): string[] => splitList(String(rule[key] ?? ""));

/** Resources must be managed, nodes exist. [BEHAVIOUR section 6] */
function checkMembers(call: Call, rule: Document): void {
  const unmanaged = listOf(rule, "resources").filter((sid) => kept(call, "ha-resources")[sid] === undefined);
  if (unmanaged.length > 0) fail(`cannot use unmanaged resource(s) ${unmanaged.join(", ")}.`);
  const missing = listOf(rule, "nodes")
    .map((node) => node.replace(/:.*$/, ""))
    .filter((node) => call.world.node(node) === undefined);
  if (missing.length > 0) fail(`cannot use non-existent node(s) ${missing.join(", ")}.`);
}

function checkFeasible(call: Call, name: string, rule: Document): void {
  if (rule["disable"] === "1") return;
  const resources = listOf(rule, "resources");
  if (rule["type"] === "node-affinity") {
    for (const [other, { type, disable, resources: theirs }] of Object.entries(kept(call, RULES))) {
      if (other === name || type !== "node-affinity" || disable === "1") continue;
      const shared = resources.find((sid) => splitList(String(theirs)).includes(sid));
      if (shared !== undefined)
        infeasible(name, { resources: `resource '${shared}' is already used in another node affinity rule` });
    }
    return;
  }
  if (resources.length < 2) infeasible(name, { resources: "rule is ineffective as there are less than two resources" });
  if (rule["affinity"] === "negative" && resources.length > Object.keys(call.state.nodes).length)
    infeasible(name, { resources: "rule defines more resources than available nodes" });
}

function add(call: Call): null {
  const name = call.need("rule");
  within("create ha rule failed", () => {
    if (kept(call, RULES)[name] !== undefined) fail(`HA rule '${name}' already defined`);
    const rule: Document = { rule: name, type: call.need("type"), ...given(call, FIELDS) };
    checkMembers(call, rule);
    checkFeasible(call, name, rule);
    const orders = Object.values(kept(call, RULES)).map((other) => Number(other["order"]));
    kept(call, RULES)[name] = { ...rule, order: String(Math.max(0, ...orders) + 1) };
  });
  call.world.changed();
  return null;
}

function update(call: Call): null {
  const name = call.need("rule");
  within("update HA rules failed", () => {
    const rule = kept(call, RULES)[name] ?? fail(`HA rule '${name}' does not exist`);
    const next = { ...rule, ...given(call, FIELDS) };
    checkMembers(call, next);
    checkFeasible(call, name, next);
    change(call, RULES, rule, FIELDS);
  });
  return null;
}

function list(call: Call): unknown {
  const type = call.text("type");
  const resource = call.text("resource");
  const sid = resource === undefined ? undefined : fullSid(call, resource);
  return Object.values(kept(call, RULES))
    .filter((rule) => type === undefined || rule["type"] === type)
    .filter((rule) => sid === undefined || listOf(rule, "resources").includes(sid))
    .map((rule) => shown(call, RULES, rule));
}

export const haRuleCalls: Handlers = {
  "GET /cluster/ha/rules": list,
  "POST /cluster/ha/rules": add,
  "GET /cluster/ha/rules/{rule}": (call) =>
    shown(call, RULES, kept(call, RULES)[call.need("rule")] ?? fail(`no such ha rule '${call.need("rule")}'`)),
  "PUT /cluster/ha/rules/{rule}": update,
  "DELETE /cluster/ha/rules/{rule}": (call) => {
    delete kept(call, RULES)[call.need("rule")];
    call.world.changed();
    return null;
  },
};
