import type { Call } from "../call.js";
import { fail } from "../fault.js";
import { isRoot } from "../auth/login.js";
import { locate } from "./volumes.js";

const AT = "at /usr/share/perl5/PVE/Storage.pm line 651.";

const VOLUME_ID = /^[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]:.+$/;

/**
 * PVE's `check_volume_access`: who may use an existing volume for the guest, and whether it is of the wanted kind
 * (images count as containers' volumes). [BEHAVIOUR section 2]
 */
export function checkVolumeAccess(call: Call, vmid: number | undefined, volid: string, wanted?: string): void {
  if (!VOLUME_ID.test(volid)) {
    if (!isRoot(call.login)) fail(`Only root can pass arbitrary filesystem paths. ${AT}`);
    return;
  }
  const { storage, parsed } = locate(call.state, volid);
  const fits =
    wanted === undefined || parsed.content === wanted || (wanted === "rootdir" && parsed.content === "images");
  if (!fits) fail(`unable to use volume ${volid} - content type needs to be '${wanted ?? ""}'`);
  const path = `/storage/${storage.storage}`;
  if (call.holds(path, ["Datastore.Allocate"])) return;
  if (["iso", "vztmpl", "import"].includes(parsed.content)) {
    call.require(path, ["Datastore.AllocateSpace", "Datastore.Audit"], true);
    return;
  }
  if (parsed.content === "images" && vmid !== undefined && parsed.vmid === vmid) return;
  if (parsed.content === "backup") {
    call.require(path, ["Datastore.AllocateSpace"]);
    const owner = backupOwner(volid);
    if (owner !== undefined) call.require(`/vms/${owner}`, ["VM.Backup"]);
    return;
  }
  if (parsed.content === "images" && parsed.vmid !== undefined) {
    call.require(path, ["Datastore.Audit"]);
    call.require(`/vms/${parsed.vmid}`, ["VM.Config.Disk"]);
    return;
  }
  fail(`missing privileges to access ${volid}`);
}

/** The guest that a backup archive is of. */
export function backupOwner(volid: string): number | undefined {
  const found = /backup\/vzdump-(?:qemu|lxc|openvz)-(\d+)-|backup\/(?:vm|ct)\/(\d+)\//.exec(volid);
  const id = found?.[1] ?? found?.[2];
  return id === undefined ? undefined : Number(id);
}
