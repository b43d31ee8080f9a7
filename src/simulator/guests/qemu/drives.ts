import { partsOf } from "../../table/check.js";
import { joinString, type Parts } from "../../table/strings.js";
import { propertyString } from "../../table/table.js";
import { parseSize } from "../../storage/sizes.js";

const range = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`);

/** Every drive slot in PVE's order, which is also that of the default boot device. */
export const DRIVE_KEYS: readonly string[] = [
  ...range("ide", 4),
  ...range("scsi", 31),
  ...range("virtio", 16),
  ...range("sata", 6),
  "efidisk0",
  "tpmstate0",
];
const DRIVES = new Set(DRIVE_KEYS);

export const isDriveKey = (key: string): boolean => DRIVES.has(key);
export const isUnusedKey = (key: string): boolean => /^unused\d+$/.test(key);

/** The name of a slot's property string. */
export function driveString(key: string): string {
  const bus = key.replace(/\d+$/, "");
  return bus === "unused" ? "unused-2" : bus;
}

const LIMITS = ["bps", "mbps", "iops"];

/** PVE's `parse_drive`: undefined where limits contradict each other. */
export function parseDrive(key: string, value: string): Parts | undefined {
  const parts = partsOf(value, driveString(key));
  for (const limit of LIMITS)
    for (const max of ["", "_max"])
      if (
        parts[`${limit}${max}`] !== undefined &&
        (parts[`${limit}_rd${max}`] ?? parts[`${limit}_wr${max}`]) !== undefined
      )
        return undefined;
  const doubled = ["", "_rd", "_wr"].some(
    (way) => parts[`mbps${way}`] !== undefined && parts[`bps${way}`] !== undefined,
  );
  return doubled ? undefined : parts;
}

/** A drive that is known to parse. */
export const drive = (key: string, value: string): Parts => parseDrive(key, value) ?? {};

export function printDrive(key: string, parts: Parts): string {
  const { format: _format, "import-from": _source, ...rest } = parts;
  return joinString(rest, propertyString(driveString(key)) ?? {});
}

const CLOUD_INIT = /[:/](?:vm-\d+-)?cloudinit(?:\.(?:raw|qcow2|vmdk))?$/;

export const isCloudInit = (parts: Parts): boolean => CLOUD_INIT.test(parts["file"] ?? "");

/** A CD-ROM drive; `plain` leaves out cloud-init drives. */
export function isCdrom(parts: Parts, plain = false): boolean {
  if (isCloudInit(parts)) return !plain;
  const { file } = parts;
  return parts["media"] === "cdrom" || file === "none" || file === "cdrom";
}

/** The first disk (or CD-ROM) that a new VM boots from. */
function firstDrive(config: Record<string, string>, cdrom: boolean): string | undefined {
  return DRIVE_KEYS.find((key) => {
    const value = config[key];
    if (value === undefined || key === "efidisk0" || key === "tpmstate0") return false;
    return isCdrom(drive(key, value)) === cdrom;
  });
}

/** PVE's `get_default_bootdevices`: first disk, first CD-ROM, first network. */
export function defaultBoot(config: Record<string, string>): string[] {
  const net = range("net", 32).find((key) => config[key] !== undefined);
  return [firstDrive(config, false), firstDrive(config, true), net].filter((key) => key !== undefined);
}

export const printBoot = (devices: readonly string[]): string =>
  devices.length === 0 ? " " : `order=${devices.join(";")}`;

/** The devices of a boot order in the new form; none for the legacy form. */
export function bootOrder(config: Record<string, string>): string[] {
  const order = /(?:^|,)order=([^,]*)/.exec(config["boot"] ?? "")?.[1];
  return order === undefined ? [] : order.split(";").filter((device) => device !== "");
}

/** PVE's `get_bootdisks`: the drives of the boot order, or the legacy `bootdisk`. */
export function bootDisks(config: Record<string, string>): string[] {
  const order = bootOrder(config);
  const legacy = config["bootdisk"];
  return order.length > 0 ? order.filter(isDriveKey) : legacy !== undefined ? [legacy] : [];
}

/** Bytes of the disk that the VM boots from, as lists show it (`bootdisk_size`); 0 without one. */
export function bootDiskSize(config: Record<string, string>): number {
  const order = bootOrder(config);
  const legacy = config["bootdisk"];
  const known = order.length > 0 ? order : legacy !== undefined ? [legacy] : [];
  const first = known[0] === undefined ? defaultBootDisk(config) : known.find((key) => isDisk(config, key));
  const value = first === undefined ? undefined : config[first];
  if (first === undefined || value === undefined) return 0;
  return parseSize(drive(first, value)["size"] ?? "") ?? 0;
}

function defaultBootDisk(config: Record<string, string>): string | undefined {
  const boot = config["boot"] ?? "cdn";
  return boot.includes("c") ? firstDrive(config, false) : undefined;
}

const isDisk = (config: Record<string, string>, key: string): boolean =>
  isDriveKey(key) && config[key] !== undefined && !isCdrom(drive(key, config[key] ?? ""));
