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
export function purgeGuest(world: World, vmid: number): void {
  const jobs = world.state.documents["backup"] ?? {};
  for (const [id, job] of Object.entries(jobs)) {
    const vmids = job["vmid"];
    if (typeof vmids !== "string") continue;
    const left = vmids.split(",").filter((one) => one !== String(vmid));
    if (left.length === 0) delete jobs[id];
    else job["vmid"] = left.join(",");
  }
  const ha = world.state.documents["ha-resources"] ?? {};
  for (const sid of [`vm:${vmid}`, `ct:${vmid}`]) {
    if (ha[sid] === undefined) continue;
    delete ha[sid];
    leaveHaRules(world.state, sid);
  }
  world.changed();
}
