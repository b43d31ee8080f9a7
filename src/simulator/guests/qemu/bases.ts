import type { Guest } from "../../state/model.js";
import { makeBase } from "../../storage/volumes.js";
import type { World } from "../../world.js";
import { drive, isCdrom, isCloudInit, isDriveKey } from "./drives.js";

/** The disks of a template (or `only` one of them) become base volumes; `config` names them so. */
export function makeBases(world: World, guest: Guest, config: Record<string, string>, only?: string): void {
  for (const [key, value] of Object.entries(config)) {
    if (!isDriveKey(key) || (only !== undefined && key !== only)) continue;
    const parts = drive(key, value);
    if (isCdrom(parts) || isCloudInit(parts)) continue;
    const volid = parts["file"] ?? "";
    config[key] = value.replace(volid, makeBase(world, volid, guest.node));
  }
}
