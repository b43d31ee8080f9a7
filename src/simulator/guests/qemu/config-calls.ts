import type { Call, Handlers } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import type { TaskLog } from "../../tasks/runner.js";
import { computeDigest, pendingRows, shownConfig, typedConfig } from "../common/values.js";
import { cloudInitRows, dumpCloudInit, writeCloudInit, type DumpType } from "./cloud-init.js";
import { applyChange, openChange, readChange, type Change } from "./update.js";

/** A synchronous update: what the worker would print goes nowhere. */
const silent: TaskLog = { upid: "", line: () => undefined, warn: () => undefined };

function getConfig(call: Call): unknown {
  if (call.has("snapshot") && call.flag("current")) {
    const text = "cannot use 'snapshot' parameter with 'current'";
    refuse({ snapshot: text, current: text });
  }
  const guest = call.world.findGuest("qemu", call.node, call.vmid);
  const digest = call.world.digest(guest, computeDigest);
  const snapshot = call.text("snapshot");
  if (snapshot !== undefined) {
    const section = guest.snapshots[snapshot] ?? fail(`snapshot '${snapshot}' does not exist`);
    return { ...typedConfig("qemu", section), digest };
  }
  return { ...typedConfig("qemu", shownConfig(guest, call.flag("current"))), digest };
}

function update(call: Call, change: Change): null {
  const guest = openChange(call, change);
  applyChange(call, guest, change, silent);
  return null;
}

/** POST config: the same as a task; with background_delay it may end within the call. */
function postConfig(call: Call): unknown {
  const change = readChange(call);
  const guest = openChange(call, change);
  const { world } = call;
  const upid = call.task("qmconfig", guest.vmid, function* (log) {
    yield world.guestLock("qemu", guest.vmid);
    log.line(`update VM ${guest.vmid}: ${change.printed}`);
    applyChange(call, guest, change, log);
    yield world.duration("qmconfig");
  });
  const quick = call.has("background_delay") && !world.tasks.isActive(upid);
  return quick && world.tasks.get(upid)?.status === "OK" ? null : upid;
}

function getPending(call: Call): unknown {
  const guest = call.world.findGuest("qemu", call.node, call.vmid);
  return pendingRows(guest, call.world.digest(guest, computeDigest));
}

export const configCalls: Handlers = {
  "GET /nodes/{node}/qemu/{vmid}/config": getConfig,
  "PUT /nodes/{node}/qemu/{vmid}/config": (call) => update(call, readChange(call)),
  "POST /nodes/{node}/qemu/{vmid}/config": postConfig,
  "PUT /nodes/{node}/qemu/{vmid}/unlink": (call) => update(call, readChange(call, call.list("idlist"))),
  "GET /nodes/{node}/qemu/{vmid}/pending": getPending,
  "GET /nodes/{node}/qemu/{vmid}/cloudinit": (call) =>
    cloudInitRows(call.world.findGuest("qemu", call.node, call.vmid)),
  "PUT /nodes/{node}/qemu/{vmid}/cloudinit": (call) => {
    const guest = call.world.findGuest("qemu", call.node, call.vmid);
    call.world.needLock("qemu", guest.vmid);
    writeCloudInit(call.world, guest);
    return null;
  },
  "GET /nodes/{node}/qemu/{vmid}/cloudinit/dump": (call) => {
    const guest = call.world.findGuest("qemu", call.node, call.vmid);
    const secrets = call.holds(`/vms/${guest.vmid}`, ["VM.Config.Cloudinit"]);
    return dumpCloudInit(guest, call.need("type") as DumpType, secrets);
  },
};
