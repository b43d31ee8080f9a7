import type { Call } from "../../call.js";
import { checkTags, cleanTags } from "../common/tags.js";
import { asLine } from "../common/values.js";
import { checkDriveKind, checkDrives } from "./disks.js";
import { isDriveKey, isUnusedKey } from "./drives.js";
import { checkBridge, isNetKey, parseNet } from "./nets.js";
import { checkDevice, checkKeys, type Scope } from "./permissions.js";

/** Whether the caller may give a new VM these keys, once `prepareKeys` has them in PVE's writing. */
export function checkGiven(call: Call, scope: Scope, keys: Readonly<Record<string, string>>): void {
  checkKeys(call, scope, Object.keys(keys));
  for (const [key, value] of Object.entries(keys)) {
    if (isDriveKey(key)) checkDriveKind(call, scope, key, value);
    else if (isNetKey(key)) checkBridge(call, parseNet(value));
    else if (key === "tags") checkTags(call, undefined, value, tagPath(call, scope));
    else checkDevice(call, scope, key, value);
  }
  checkDrives(call, scope, keys);
}

const tagPath = (call: Call, { vmid, pool }: Scope): string =>
  pool !== undefined && call.holds(`/pool/${pool}`, ["VM.Config.Options"]) ? `/pool/${pool}` : `/vms/${vmid}`;

/** The keys but drives, with their values as PVE's file keeps them. */
export function storedKeys(call: Call, keys: Readonly<Record<string, string>>): Record<string, string> {
  const config: Record<string, string> = {};
  for (const [key, value] of Object.entries(keys)) {
    if (isDriveKey(key)) continue;
    if (isUnusedKey(key)) config[key] = value;
    else if (key === "tags") config[key] = asLine(cleanTags(call, value));
    else if (key === "description") {
      if (value.trimEnd() !== "") config[key] = value.trimEnd();
    } else config[key] = asLine(value);
  }
  return config;
}
