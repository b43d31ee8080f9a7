import type { Guest } from "../../state/model.js";
import type { TaskLog } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { leaveHaRules } from "./ha.js";
import { forgetFirewall } from "./firewall.js";
import { removeFromPool } from "../../pools/members.js";

/** What PVE forgets with every guest: its place in the pool, its ACL entries (`remove_vm_access`). */
export function forgetGuest(world: World, vmid: number): void {
  const { state } = world;
  removeFromPool(state, vmid);
  forgetFirewall(state.documents, vmid);
  state.access.acl = state.access.acl.filter((entry) => entry.path !== `/vms/${vmid}`);
  world.changed();
}

/** `purge`: the guest also leaves backup jobs and high availability; a job that is left empty goes. */
export function purgeGuest(world: World, { kind, vmid }: Pick<Guest, "kind" | "vmid">, log: TaskLog): void {
  const word = kind === "qemu" ? "VM" : "CT";
  log.line(`purging ${word} ${vmid} from related configurations..`);
  const jobs = world.state.documents["backup"] ?? {};
  for (const [id, job] of Object.entries(jobs)) {
    const vmids = job["vmid"];
    if (typeof vmids !== "string") continue;
    const left = vmids.split(",").filter((one) => one !== String(vmid));
    if (left.length === 0) delete jobs[id];
    else job["vmid"] = left.join(",");
  }
  const ha = world.state.documents["ha-resources"] ?? {};
  const sid = `${word.toLowerCase()}:${vmid}`;
  if (ha[sid] !== undefined) {
    log.line(`NOTE: removed ${word} ${vmid} from HA resource configuration.`);
    delete ha[sid];
    leaveHaRules(world.state, sid);
  }
  world.changed();
}
