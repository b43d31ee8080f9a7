import type { Call } from "../../call.js";
import { deny } from "../../fault.js";
import { isRoot } from "../../auth/login.js";
import { checkVolumeAccess } from "../../storage/access.js";
import { partsOf } from "../../table/check.js";
import { checkBridge } from "../qemu/nets.js";
import { checkTags } from "../common/tags.js";
import { isMountKey, isUnused, mountKind, newVolume, parseMount } from "./mounts.js";
import { isNet, parseLxcNet } from "./nets.js";

export interface LxcScope {
  readonly vmid: number;
  readonly pool?: string | undefined;
  readonly unprivileged: boolean;
  /** The config before the change. */
  readonly before: Readonly<Record<string, string>>;
}

const onlyRoot = (text: string): never => deny(`${text} is only allowed for root@pam`);

function checkCt(call: Call, scope: LxcScope, names: readonly string[]): void {
  if (scope.pool !== undefined && call.holds(`/pool/${scope.pool}`, names)) return;
  call.require(`/vms/${scope.vmid}`, names);
}

/** PVE's `check_ct_modify_config_perm` [BEHAVIOUR section 2]. */
export function checkLxcKeys(
  call: Call,
  scope: LxcScope,
  set: Readonly<Record<string, string>>,
  remove: readonly string[] = [],
): void {
  if (isRoot(call.login)) return;
  for (const key of [...Object.keys(set), ...remove]) checkKey(call, scope, key, set[key]);
}

function checkKey(call: Call, scope: LxcScope, key: string, value: string | undefined): void {
  if (isMountKey(key) || isUnused(key)) checkMount(call, scope, key, value);
  else if (["cores", "cpulimit", "cpuunits"].includes(key)) checkCt(call, scope, ["VM.Config.CPU"]);
  else if (key === "memory" || key === "swap") checkCt(call, scope, ["VM.Config.Memory"]);
  else if (isNet(key)) {
    checkCt(call, scope, ["VM.Config.Network"]);
    for (const net of [scope.before[key], value]) if (net !== undefined) checkBridge(call, parseLxcNet(net));
  } else if (["nameserver", "searchdomain", "hostname"].includes(key)) checkCt(call, scope, ["VM.Config.Network"]);
  else if (/^dev\d+$/.test(key)) onlyRoot("configuring device passthrough");
  else if (key === "features") checkFeatures(call, scope, value);
  else if (key === "hookscript") onlyRoot("changing the hookscript");
  else if (key === "tags") checkTags(call, scope.before["tags"], value ?? "", `/vms/${scope.vmid}`);
  else checkCt(call, scope, ["VM.Config.Options"]);
}

function checkMount(call: Call, scope: LxcScope, key: string, value: string | undefined): void {
  checkCt(call, scope, ["VM.Config.Disk"]);
  if (value === undefined || isUnused(key)) return;
  const volume = parseMount(key, value)["volume"] ?? "";
  const kind = mountKind(volume);
  if (kind !== "volume") onlyRoot(`mount point type ${kind}`);
  const created = newVolume(volume);
  if (created === undefined) checkVolumeAccess(call, scope.vmid, volume, "rootdir");
  else call.require(`/storage/${created.storage}`, ["Datastore.AllocateSpace"]);
}

/** Only root may change more than `nesting`; a first or last `nesting=0` counts as more in PVE. */
function checkFeatures(call: Call, scope: LxcScope, value: string | undefined): void {
  if (!scope.unprivileged) onlyRoot("changing feature flags for privileged container");
  const old = partsOf(scope.before["features"] ?? "", "features");
  const next = partsOf(value ?? "", "features");
  const before = Object.keys(old).length > 0;
  const changed =
    before && value !== undefined
      ? [...new Set([...Object.keys(old), ...Object.keys(next)])].filter((key) => old[key] !== next[key])
      : Object.entries(before ? old : next).map(([key, state]) => (state === "1" ? key : `${key} off`));
  if (changed.length === 0) return;
  if (changed.some((key) => key !== "nesting")) onlyRoot("changing feature flags (except nesting)");
  checkCt(call, scope, ["VM.Allocate"]);
}
