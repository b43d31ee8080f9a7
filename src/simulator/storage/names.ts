import { fail } from "../fault.js";

/** Storages that keep volumes as files below a path. */
const FILE_TYPES = new Set(["dir", "nfs", "cifs", "btrfs", "cephfs"]);

export const isFileStorage = (type: string): boolean => FILE_TYPES.has(type);

export interface VolumeName {
  /** `images` (also containers' disks), `iso`, `vztmpl`, `backup`, `snippets`, `import`. */
  readonly content: string;
  /** The last part of the name. */
  readonly name: string;
  readonly vmid?: number | undefined;
  readonly format: string;
  readonly isBase: boolean;
  /** Of a linked clone: vmid and name of the base volume. */
  readonly base?: { readonly vmid: number; readonly name: string } | undefined;
}

/** `data:100/vm-100-disk-0.qcow2` → `data` and the rest. @throws PVE's text for what is no volume id */
export function splitVolid(volid: string): { storage: string; volname: string } {
  const found = /^([a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]):(.+)$/.exec(volid);
  if (found === null) fail(`unable to parse volume ID '${volid}'`);
  return { storage: found[1] ?? "", volname: found[2] ?? "" };
}

const PLAIN: readonly (readonly [RegExp, string, (name: string) => string])[] = [
  [/^iso\/([^/]+\.(iso|img))$/i, "iso", () => "raw"],
  [/^vztmpl\/([^/]+\.tar\.(gz|xz|zst|bz2)|[^/]+\.tar)$/i, "vztmpl", () => "raw"],
  [/^snippets\/([^/]+)$/, "snippets", () => "raw"],
  [/^backup\/([^/]+(\.(tgz|tar|vma)(\.(gz|lzo|zst))?))$/, "backup", () => "raw"],
  [/^import\/([^/]+\.(raw|qcow2|vmdk|ova|ovf))$/, "import", (name) => name.replace(/^.*\./, "")],
];

/** PVE's `parse_volname` for the storage's type. @throws PVE's text */
export function parseVolname(type: string, volname: string): VolumeName {
  return isFileStorage(type) ? parseFileName(volname) : parseBlockName(type, volname);
}

function parseFileName(volname: string): VolumeName {
  for (const [pattern, content, format] of PLAIN) {
    const name = pattern.exec(volname)?.[1];
    if (name !== undefined) return { content, name, format: format(name), isBase: false };
  }
  const linked = /^(\d+)\/(\S+)\/(\d+)\/(\S+)$/.exec(volname);
  if (linked !== null) {
    const [, baseId = "0", baseName = "", id = "0", name = ""] = linked;
    return {
      content: "images",
      name,
      vmid: Number(id),
      format: fileFormat(name),
      isBase: false,
      base: { vmid: Number(baseId), name: baseName },
    };
  }
  const image = /^(\d+)\/(\S+)$/.exec(volname);
  if (image === null) fail(`unable to parse directory volume name '${volname}'`);
  const [, id = "0", name = ""] = image;
  return { content: "images", name, vmid: Number(id), format: fileFormat(name), isBase: name.startsWith("base-") };
}

function fileFormat(name: string): string {
  const format = /\.(raw|qcow2|vmdk|subvol)$/.exec(name)?.[1];
  if (format === undefined) fail(`unable to parse volume filename '${name}'`);
  return format;
}

function parseBlockName(type: string, volname: string): VolumeName {
  const found = /^(?:(base-(\d+)-\S+)\/)?((vm|base|subvol|basevol)-(\d+)-\S+)$/.exec(volname);
  if (found === null) fail(`unable to parse ${type.replace("thin", "")} volume name '${volname}'`);
  const [, baseName, baseId, name = "", prefix = "", id = "0"] = found;
  const base = baseName === undefined ? undefined : { vmid: Number(baseId), name: baseName };
  const format = prefix.includes("vol") ? "subvol" : "raw";
  return { content: "images", name, vmid: Number(id), format, isBase: prefix.startsWith("base"), base };
}

const FOLDERS: Record<string, string> = {
  iso: "template/iso",
  vztmpl: "template/cache",
  backup: "dump",
  snippets: "snippets",
  import: "import",
};

/** Where a volume lies in the node's file system. */
export function volumePath(type: string, path: string, parsed: VolumeName): string {
  if (!isFileStorage(type)) return `/dev/${type === "zfspool" ? "zvol/" : ""}${path}/${parsed.name}`;
  if (parsed.content === "images") return `${path}/images/${parsed.vmid ?? 0}/${parsed.name}`;
  return `${path}/${FOLDERS[parsed.content] ?? parsed.content}/${parsed.name}`;
}

/** `vm-` names become `base-` names, keeping the folder. */
export function baseVolname(type: string, volname: string): string {
  return type === "lvm" ? volname : volname.replace(/(^|\/)vm-/, "$1base-").replace(/(^|\/)subvol-/, "$1basevol-");
}
