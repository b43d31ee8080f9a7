import type { Call } from "../../call.js";
import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { parseSize } from "../../storage/sizes.js";
import { findVolume, freeVolume, hasClones } from "../../storage/volumes.js";
import type { TaskLog } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { isMountKey, isUnused, mountKind, mountsOf, printMount } from "./mounts.js";
import { isNet, withNewMac } from "./nets.js";
import { ownsVolume } from "./volumes.js";

const GIB = 2 ** 30;
const NOT_RESTORED = new Set(["lock", "parent", "template"]);

interface Saved {
  readonly config: Record<string, string>;
  /** The mount points to make anew, unless the call lays them out itself. */
  readonly mounts: Record<string, string>;
}

/** What an archive holds of its container: keys without locks and unused volumes, sizes of its mount points. */
export function savedConfig(call: Call, set: Readonly<Record<string, string>>, log: TaskLog): Saved {
  const volid = call.need("ostemplate");
  log.line(`recovering backed-up configuration from '${volid}'`);
  const archive = findVolume(call.state, volid, call.node);
  if (archive === undefined) fail(`volume '${volid}' does not exist`);
  const holds = archive.holds ?? {};
  const config: Record<string, string> = {};
  for (const [key, value] of Object.entries(holds)) {
    if (NOT_RESTORED.has(key) || isUnused(key) || isMountKey(key)) continue;
    config[key] = isNet(key) && call.flag("unique") ? withNewMac(call, value) : value;
  }
  return { config, mounts: set["rootfs"] === undefined ? newMounts(call, holds) : {} };
}

function newMounts(call: Call, holds: Readonly<Record<string, string>>): Record<string, string> {
  const storage = call.text("storage") ?? "local";
  const mounts: Record<string, string> = {};
  for (const [key, mount] of mountsOf(holds)) {
    if (mountKind(mount["volume"] ?? "") !== "volume") continue;
    const { size, ...options } = mount;
    const gib = (parseSize(size ?? "") ?? GIB) / GIB;
    mounts[key] = printMount(key, { ...options, volume: `${storage}:${gib}` });
  }
  return mounts;
}

/** The volumes of a container that its backup took the place of. */
export function dropVolumes(world: World, guest: Guest): void {
  for (const [, mount] of mountsOf(guest.config)) {
    const volid = mount["volume"] ?? "";
    if (ownsVolume(world, guest, volid) && !hasClones(world.state, volid)) freeVolume(world, volid, guest.node);
  }
}
