import { within } from "../access/users.js";
import type { Call, Handlers } from "../call.js";
import { fail } from "../fault.js";
import { crmState, leaveHaRules } from "../guests/common/ha.js";
import type { Document, Guest } from "../state/model.js";
import { change, fullSid, given, kept, shown } from "./ha-kept.js";
import { haRuleCalls } from "./ha-rules.js";
import { isQuorate } from "./quorum.js";

const RESOURCES = "ha-resources";

const sidOf = (call: Call): string => fullSid(call, call.need("sid"));

const FIELDS = ["state", "max_restart", "max_relocate", "failback", "comment"];

function addResource(call: Call): null {
  const sid = sidOf(call);
  const [type = "", id = ""] = sid.split(":");
  if (call.has("type") && call.text("type") !== type) fail("types does not match");
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
  if (call.has("group")) fail("invalid parameter 'group': ha groups have been migrated to rules");
  within("update resources config failed", () => {
    const resource = kept(call, RESOURCES)[sid] ?? fail(`no such resource '${sid}'`);
    change(call, RESOURCES, resource, FIELDS);
  });
  return null;
}

function removeResource(call: Call): null {
  const sid = sidOf(call);
  if (kept(call, RESOURCES)[sid] === undefined) fail(`cannot delete service '${sid}', not HA managed!`);
  delete kept(call, RESOURCES)[sid];
  if (call.flag("purge", true)) leaveHaRules(call.state, sid);
  call.world.changed();
  return null;
}

/** An ignored resource counts as not managed here. */
const moveResource = (relocate: boolean) => (call: Call) => {
  const sid = sidOf(call);
  const resource = kept(call, RESOURCES)[sid];
  if (resource === undefined || resource["state"] === "ignored") fail(`resource '${sid}' is not HA managed`);
  const node = call.need("node");
  if (call.world.node(node) === undefined) fail(`no such cluster node '${node}'`);
  // of a container nothing can be moved while it runs
  call.world.haRequests.set(sid, { move: node, relocate: relocate || sid.startsWith("ct:") });
  return { sid, "requested-node": node };
};

const noGroups = (verb: string) => (): never => fail(`cannot ${verb}: ha groups have been migrated to rules`);

/** As `Thu Jan  1 00:00:00 2026`. */
function localTime(seconds: number): string {
  const [day = "", date = "", month = "", year = "", time = ""] = new Date(seconds * 1000).toUTCString().split(/,? /);
  return `${day} ${month} ${String(Number(date)).padStart(2)} ${time} ${year}`;
}

function currentStatus(call: Call): unknown {
  const { world, state } = call;
  const nodes = Object.values(state.nodes);
  const time = localTime(world.seconds());
  const here = call.node;
  const resources = Object.values(kept(call, RESOURCES));
  const quorate = isQuorate(state);
  const quorum = {
    id: "quorum",
    type: "quorum",
    node: here,
    status: quorate ? "OK" : `No quorum on node '${here}'!`,
    quorate: quorate ? 1 : 0,
  };
  const managed = resources.length > 0;
  const master = {
    id: "master",
    type: "master",
    node: here,
    status: `${here} (${managed ? "active" : "idle"}, ${time})`,
  };
  const fencing = {
    id: "fencing",
    type: "fencing",
    node: here,
    status: managed ? "armed (CRM watchdog active)" : "standby",
    "armed-state": managed ? "armed" : "standby",
  };
  const agents = nodes.map(({ name, online }) => {
    const busy = resources.some((one) => guestOf(call, one)?.node === name);
    const mode = !online ? "old timestamp - dead?" : busy ? "active" : "idle, watchdog standby";
    return { id: `lrm:${name}`, type: "lrm", node: name, status: `${name} (${mode}, ${time})` };
  });
  return [quorum, ...(managed ? [master, fencing, ...agents] : []), ...resources.map((one) => service(call, one))];
}

const guestOf = (call: Call, resource: Document): Guest | undefined =>
  call.world.guest(Number(String(resource["sid"]).split(":")[1]));

/** A resource as the status has it; `queued` until the manager's next round. */
function service(call: Call, resource: Document): Record<string, unknown> {
  const sid = String(resource["sid"]);
  const guest = guestOf(call, resource);
  const wanted = typeof resource["state"] === "string" ? resource["state"] : "started";
  const crm = guest && crmState(call.state, guest);
  const runs = guest?.run !== undefined;
  const between = crm === "started" && !runs ? "starting" : crm === "stopped" && runs ? "stopping" : crm;
  const state = wanted === "ignored" ? "ignored" : crm === "stopped" && wanted === "disabled" ? "disabled" : between;
  const node = guest?.node ?? "";
  return {
    id: `service:${sid}`,
    type: "service",
    sid,
    node,
    state: state ?? "queued",
    ...(crm !== undefined && { crm_state: crm }),
    request_state: wanted,
    max_restart: Number(resource["max_restart"] ?? 1),
    max_relocate: Number(resource["max_relocate"] ?? 1),
    failback: Number(resource["failback"] ?? 1),
    status: `${sid} (${node}, ${state ?? "queued"})`,
  };
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
  "POST /cluster/ha/resources/{sid}/migrate": moveResource(false),
  "POST /cluster/ha/resources/{sid}/relocate": moveResource(true),
  ...haRuleCalls,
  "GET /cluster/ha/groups": noGroups("index groups"),
  "POST /cluster/ha/groups": noGroups("create group"),
  "GET /cluster/ha/groups/{group}": noGroups("read group"),
  "PUT /cluster/ha/groups/{group}": noGroups("update group"),
  "DELETE /cluster/ha/groups/{group}": noGroups("delete group"),
  "GET /cluster/ha/status/current": currentStatus,
  "POST /cluster/ha/status/arm-ha": () => null,
  "POST /cluster/ha/status/disarm-ha": () => null,
  "GET /cluster/ha/status/manager_status": () => ({ manager_status: {}, quorum: { quorate: 1 }, lrm_status: {} }),
};
