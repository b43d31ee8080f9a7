import { within } from "../access/users.js";
import type { Call, Handlers } from "../call.js";
import { fail } from "../fault.js";
import { leaveHaRules } from "../guests/common/ha.js";
import { change, fullSid, given, kept, shown } from "./ha-kept.js";
import { haRuleCalls } from "./ha-rules.js";

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
function moveResource(call: Call): unknown {
  const sid = sidOf(call);
  const resource = kept(call, RESOURCES)[sid];
  if (resource === undefined || resource["state"] === "ignored") fail(`resource '${sid}' is not HA managed`);
  const node = call.need("node");
  if (call.world.node(node) === undefined) fail(`no such cluster node '${node}'`);
  return { sid, "requested-node": node };
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
