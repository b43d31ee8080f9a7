import type { Guest } from "../../state/model.js";
import { isMountKey, mountKind, parseMount } from "../lxc/mounts.js";
import { drive, isCdrom, isCloudInit, isDriveKey } from "../qemu/drives.js";

/** A volume that a guest's configuration speaks of. */
export interface Part {
  readonly key: string;
  readonly volid: string;
  /** A medium in a drive. */
  readonly cdrom: boolean;
  readonly cloudInit: boolean;
}

/** The volumes that a guest's config speaks of, CD media among them. */
export function partsOfGuest({ kind, config }: Pick<Guest, "kind" | "config">): Part[] {
  return Object.entries(config).flatMap(([key, value]): Part[] => {
    const plain = { key, cdrom: false, cloudInit: false };
    if (/^unused\d+$/.test(key)) return [{ ...plain, volid: value.split(",")[0] ?? "" }];
    if (kind === "lxc") {
      if (!isMountKey(key)) return [];
      const volid = parseMount(key, value)["volume"] ?? "";
      return mountKind(volid) === "volume" ? [{ ...plain, volid }] : [];
    }
    if (!isDriveKey(key)) return [];
    const parts = drive(key, value);
    const volid = parts["file"] ?? "";
    if (volid === "none" || volid === "cdrom" || volid.startsWith("/")) return [];
    return [{ key, volid, cdrom: isCdrom(parts, true), cloudInit: isCloudInit(parts) }];
  });
}
