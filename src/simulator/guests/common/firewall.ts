import { createHash } from "node:crypto";
import type { Call, Handler, Handlers } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import type { Document, GuestKind } from "../../state/model.js";
import { CALL_SHAPES } from "../../table/table.js";

/** A guest's firewall is kept, not enforced: options, rules, aliases and IP sets as documents. */
const NO_FILE = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const INDEX = "rules aliases ipset refs options";

const keep = (call: Call, part: string): Record<string, Document> => {
  const key = `firewall/${call.vmid}/${part}`;
  return (call.state.documents[key] ??= {});
};

const digest = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text === "{}" || text === "[]" ? NO_FILE : createHash("sha1").update(text).digest("hex");
};

function checkDigest(call: Call, now: string): void {
  const given = call.text("digest");
  if (given !== undefined && given !== now)
    fail("detected modified configuration - file changed by other user? Try again.");
}

function typed(key: string, kind: GuestKind, value: string): string | number {
  const shape = CALL_SHAPES.get(`PUT /nodes/{node}/${kind}/{vmid}/firewall/options`)?.params[key];
  return shape?.type === "boolean" ? Number(value) : value;
}

const optionsOf = (call: Call): Document => (keep(call, "options")["all"] ??= {});

function getOptions(kind: GuestKind): Handler {
  return (call) => {
    const options = optionsOf(call);
    const shown = Object.entries(options).map(([key, value]) => [key, typed(key, kind, String(value))] as const);
    return { ...Object.fromEntries(shown), digest: digest(options) };
  };
}

function putOptions(kind: GuestKind): Handler {
  return (call) => {
    const options = optionsOf(call);
    checkDigest(call, digest(options));
    const shape = CALL_SHAPES.get(`PUT /nodes/{node}/${kind}/{vmid}/firewall/options`)?.params ?? {};
    const remove = call.list("delete");
    for (const key of remove) if (shape[key] === undefined) refuse({ delete: `no such option '${key}'` });
    for (const key of remove) delete options[key];
    for (const key of Object.keys(call.params))
      if (!["node", "vmid", "delete", "digest"].includes(key)) options[key] = call.need(key);
    call.world.changed();
    return null;
  };
}

const FIELDS = ["node", "vmid", "pos", "digest", "moveto", "delete"];

/** The rules in their order; kept as one document of numbered texts. */
function rulesOf(call: Call): Document[] {
  return Object.entries(keep(call, "rules"))
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, rule]) => rule);
}

function saveRules(call: Call, rules: readonly Document[]): null {
  call.state.documents[`firewall/${call.vmid}/rules`] = Object.fromEntries(
    rules.map((rule, pos) => [String(pos), rule]),
  );
  call.world.changed();
  return null;
}

function shownRule(rule: Document, pos: number, all: readonly Document[]): Record<string, unknown> {
  return { ...rule, enable: Number(rule["enable"] ?? 0), pos, digest: digest(all) };
}

function given(call: Call): Document {
  const rule: Document = {};
  for (const key of Object.keys(call.params)) if (!FIELDS.includes(key)) rule[key] = call.need(key);
  const port = rule["dport"] ?? rule["sport"];
  if (port !== undefined && rule["proto"] === undefined && rule["macro"] === undefined)
    refuse({ proto: `missing property - '${rule["dport"] === undefined ? "sport" : "dport"}' requires this property` });
  const iface = rule["iface"];
  if (typeof iface === "string" && !/^net\d+$/.test(iface))
    refuse({ iface: "value does not match the regex pattern 'net\\d+'" });
  const action = rule["action"];
  if (rule["type"] !== "group" && typeof action === "string" && !/^(ACCEPT|DROP|REJECT)$/.test(action))
    refuse({ action: `unknown action '${action}'` });
  return rule;
}

function ruleAt(call: Call): { rules: Document[]; pos: number; rule: Document } {
  const rules = rulesOf(call);
  const pos = call.int("pos") ?? 0;
  return { rules, pos, rule: rules[pos] ?? fail(`no rule at position ${pos}`) };
}

function putRule(call: Call): null {
  const { rules, pos, rule } = ruleAt(call);
  checkDigest(call, digest(rules));
  const moveTo = call.int("moveto");
  if (moveTo !== undefined) {
    const rest = rules.filter((_, index) => index !== pos);
    rest.splice(moveTo > pos ? moveTo - 1 : moveTo, 0, rule);
    return saveRules(call, rest);
  }
  for (const key of call.list("delete")) delete rule[key];
  rules[pos] = { ...rule, ...given(call) };
  return saveRules(call, rules);
}

function named(part: "aliases" | "ipset", what: string): Handlers {
  const path = `firewall/${part}`;
  return {
    [`GET ${path}`]: (call) =>
      Object.values(keep(call, part)).map((one) => ({ ...one, digest: digest(keep(call, part)) })),
    [`POST ${path}`]: (call) => {
      const name = call.need("name");
      const all = keep(call, part);
      if (all[name] !== undefined) refuse({ name: `${what} '${name}' already exists` });
      all[name] = given(call);
      call.world.changed();
      return null;
    },
    [`DELETE ${path}/{name}`]: (call) => {
      const name = call.need("name");
      const entries = keep(call, `ipset/${name}`);
      if (part === "ipset" && Object.keys(entries).length > 0 && !call.flag("force"))
        fail(`IPSet '${name}' is not empty`);
      delete keep(call, part)[name];
      delete call.state.documents[`firewall/${call.vmid}/ipset/${name}`];
      call.world.changed();
      return null;
    },
  };
}

function setCalls(): Handlers {
  const path = "firewall/ipset/{name}";
  return {
    [`GET ${path}`]: (call) => Object.values(keep(call, `ipset/${call.need("name")}`)),
    [`POST ${path}`]: (call) => {
      const all = keep(call, `ipset/${call.need("name")}`);
      const cidr = call.need("cidr");
      if (all[cidr] !== undefined) refuse({ cidr: `address '${cidr}' already exists` });
      const { name: _name, ...entry } = given(call);
      all[cidr] = entry;
      call.world.changed();
      return null;
    },
    [`DELETE ${path}/{cidr}`]: (call) => {
      delete keep(call, `ipset/${call.need("name")}`)[call.need("cidr")];
      call.world.changed();
      return null;
    },
    "GET firewall/aliases/{name}": (call) =>
      keep(call, "aliases")[call.need("name")] ?? refuse({ name: "no such alias" }),
    "PUT firewall/aliases/{name}": (call) => {
      const all = keep(call, "aliases");
      const name = call.need("name");
      const old = all[name] ?? refuse({ name: "no such alias" });
      all[name] = { ...old, ...given(call), name };
      call.world.changed();
      return null;
    },
  };
}

function callsOf(kind: GuestKind): Handlers {
  const own: Handlers = {
    "GET firewall": () => INDEX.split(" ").map((name) => ({ name })),
    "GET firewall/options": getOptions(kind),
    "PUT firewall/options": putOptions(kind),
    "GET firewall/rules": (call) => rulesOf(call).map(shownRule),
    "POST firewall/rules": (call) => saveRules(call, [given(call), ...rulesOf(call)]),
    "GET firewall/rules/{pos}": (call) => {
      const { rule, pos, rules } = ruleAt(call);
      return shownRule(rule, pos, rules);
    },
    "PUT firewall/rules/{pos}": putRule,
    "DELETE firewall/rules/{pos}": (call) => {
      const { rules, pos } = ruleAt(call);
      checkDigest(call, digest(rules));
      return saveRules(
        call,
        rules.filter((_, index) => index !== pos),
      );
    },
    "GET firewall/refs": () => [],
    "GET firewall/log": () => [{ n: 1, t: "no content" }],
    ...named("aliases", "alias"),
    ...named("ipset", "IPSet"),
    ...setCalls(),
  };
  return Object.fromEntries(
    Object.entries(own).map(([key, handler]) => {
      const [method = "", path = ""] = key.split(" ");
      return [`${method} /nodes/{node}/${kind}/{vmid}/${path}`, handler];
    }),
  );
}

/** What a destroyed guest leaves of its firewall: nothing. */
export function forgetFirewall(documents: Record<string, Record<string, Document>>, vmid: number): void {
  for (const key of Object.keys(documents)) if (key.startsWith(`firewall/${vmid}/`)) delete documents[key];
}

export const firewallCalls: Handlers = { ...callsOf("qemu"), ...callsOf("lxc") };
