import type { FieldValue } from "../../desired/types.js";
import type { PropertyString } from "./property-string.js";
import { formatGib, parseDiskSize } from "./values.js";

const FORMATS = /\.(raw|qcow2|vmdk)$/;

/** The fields that a volume gives a disk or mount. */
export const VOLUME_FIELDS = ["storage", "size", "format", "source"] as const;

/**
 * What a volume says of itself: `data:301/vm-301-disk-0.raw,size=1G` is 1 GiB on `data` in format raw. A host path is
 * the `source` of a bind mount. Block storages put no format into their names; none is guessed.
 */
export function readVolume(options: PropertyString, option: string): Record<string, FieldValue> {
  const volume = options.get(option) ?? "";
  const size = parseDiskSize(options.get("size") ?? "");
  const fields: Record<string, FieldValue> = {};
  const colon = volume.indexOf(":");
  if (volume.startsWith("/")) fields["source"] = volume;
  else if (colon > 0) fields["storage"] = volume.slice(0, colon);
  if (size !== undefined) fields["size"] = size;
  // a container's volume has no format to choose
  const format = option === "file" ? (options.get("format") ?? FORMATS.exec(volume)?.[1]) : undefined;
  if (format !== undefined) fields["format"] = format;
  return fields;
}

/** The text that makes PVE allocate a volume: `data:32`, in GiB [qemucreate/disks]. */
export function newVolume(storage: FieldValue, bytes: FieldValue): string {
  return `${String(storage)}:${formatGib(Number(bytes))}`;
}
