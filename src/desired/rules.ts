import { parseRef, refKey } from "../model/ref.js";
import type { Kind, Ref } from "../model/ref.js";
import { didYouMean, nearest } from "../manifests/suggest.js";
import type { Path } from "../manifests/index.js";
import type { PathFault } from "./explain.js";
import { refusedExtra } from "./extra-config.js";
import { ADOPT } from "./schema/common.js";
import { KIND_SCHEMAS, schemaAt } from "./schema/index.js";
import { pathText } from "./words.js";

type Fields = Readonly<Record<string, unknown>>;

interface Subject {
  readonly kind: Kind;
  readonly spec: Fields;
  /** The guest may exist already: what is only needed to make it may be left out. */
  readonly adopt: boolean;
  readonly name: unknown;
}

/**
 * What the schema can't say: rules across fields. Works on documents that may have other faults, and says nothing of
 * what the schema has refused already.
 */
export function checkRules(kind: Kind, document: Fields): PathFault[] {
  const metadata = map(document["metadata"]);
  const subject: Subject = {
    kind,
    spec: map(document["spec"]),
    adopt: map(metadata["annotations"])[ADOPT] === "true",
    name: metadata["name"],
  };
  const faults = kind === "VirtualMachine" ? [...machineRules(subject)] : [...containerRules(subject)];
  return [...faults, ...extraConfigRules(subject), ...ignoreRules(subject), ...dependsOnRules(subject)];
}

function map(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function fault(path: Path, message: string, part: "key" | "value" = "value"): PathFault {
  return { path, part, message: `${pathText(path)} ${message}` };
}

function* machineRules({ spec, adopt }: Subject): Generator<PathFault> {
  const from = map(spec["from"]);
  if (from["storage"] !== undefined && from["full"] !== true) {
    const message = "needs full: true; a linked clone stays on its template's storage";
    yield fault(["spec", "from", "storage"], message, "key");
  }
  for (const [slot, value] of Object.entries(map(spec["disks"]))) {
    const path = ["spec", "disks", slot];
    const disk = map(value);
    yield* busRules(path, slot, disk);
    // a clone brings its disks along, and an adopted guest has them
    if (spec["from"] !== undefined || adopt || Object.keys(disk).length === 0) continue;
    for (const name of ["storage", "size"]) {
      if (disk[name] === undefined)
        yield fault([...path, name], "is missing; a new disk needs storage and size", "key");
    }
  }
  const addresses = map(map(spec["cloudInit"])["addresses"]);
  for (const [slot, value] of Object.entries(addresses)) {
    yield* gatewayRules(["spec", "cloudInit", "addresses", slot], map(value));
  }
}

/** Options that a bus does not have (api-params: #virtio without ssd; #ide and #sata without iothread and ro). */
function* busRules(path: Path, slot: string, disk: Fields): Generator<PathFault> {
  const bus = slot.replace(/\d+$/, "");
  const missing: Record<string, readonly string[]> = {
    virtio: ["ssd"],
    sata: ["iothread", "readOnly"],
    ide: ["iothread", "readOnly"],
  };
  for (const name of missing[bus] ?? []) {
    if (disk[name] === undefined) continue;
    const allowed = name === "ssd" ? "scsi, sata and ide" : "scsi and virtio";
    yield fault([...path, name], `is no option of ${bus} disks; allowed on ${allowed}`, "key");
  }
}

/** PVE takes a gateway beside dhcp and then leaves it out of the guest's network silently; beside nothing it refuses. */
function* gatewayRules(path: Path, network: Fields): Generator<PathFault> {
  for (const [gateway, address] of [
    ["gateway", "ipv4"],
    ["gateway6", "ipv6"],
  ] as const) {
    if (network[gateway] === undefined) continue;
    const value = network[address];
    if (typeof value === "string" && value.includes("/")) continue;
    yield fault([...path, gateway], `needs an address with its prefix in ${address}`, "key");
  }
}

function* containerRules({ spec, adopt }: Subject): Generator<PathFault> {
  const rootfs = map(spec["rootfs"]);
  if (spec["from"] !== undefined && spec["rootfs"] === undefined && !adopt) {
    yield fault(["spec", "rootfs"], "is missing; a new container needs rootfs with storage and size", "key");
  }
  for (const name of ["storage", "size"]) {
    if (adopt || Object.keys(rootfs).length === 0 || rootfs[name] !== undefined) continue;
    yield fault(["spec", "rootfs", name], "is missing; a root file system needs storage and size", "key");
  }
  for (const [slot, value] of Object.entries(map(spec["mounts"]))) {
    yield* mountRules(["spec", "mounts", slot], map(value), adopt);
  }
  const names = new Map<unknown, string>();
  for (const [slot, value] of Object.entries(map(spec["networks"]))) {
    const network = map(value);
    yield* gatewayRules(["spec", "networks", slot], network);
    const name = network["name"];
    const other = name === undefined ? undefined : names.get(name);
    if (other === undefined) names.set(name, slot);
    else
      yield fault(["spec", "networks", slot, "name"], `is the name of ${other} too; names are unique in a container`);
  }
}

function* mountRules(path: Path, mount: Fields, adopt: boolean): Generator<PathFault> {
  const kinds = "a volume (storage and size) or a folder of the node (source)";
  if (mount["source"] !== undefined) {
    for (const name of ["storage", "size", "backup"]) {
      if (mount[name] !== undefined)
        yield fault([...path, name], `does not go with source; a mount is ${kinds}`, "key");
    }
  } else if (!adopt && Object.keys(mount).length > 0) {
    for (const name of ["storage", "size"]) {
      if (mount[name] === undefined) yield fault([...path, name], `is missing; a mount is ${kinds}`, "key");
    }
  }
}

function* extraConfigRules({ kind, spec }: Subject): Generator<PathFault> {
  for (const [key, value] of Object.entries(map(spec["extraConfig"]))) {
    const path = ["spec", "extraConfig", key];
    const refused = refusedExtra(kind, key, value);
    if (refused !== undefined) yield fault(path, refused, "key");
    else if (map(spec["disks"])[key] !== undefined) yield fault(path, `is declared in spec.disks.${key} too`, "key");
  }
}

function* ignoreRules({ kind, spec }: Subject): Generator<PathFault> {
  for (const [index, text] of list(map(spec["lifecycle"])["ignoreChanges"]).entries()) {
    if (typeof text !== "string" || !text.startsWith("spec.")) continue;
    const steps = text.split(".");
    if (schemaAt(KIND_SCHEMAS[kind], steps) !== undefined) continue;
    const parent = schemaAt(KIND_SCHEMAS[kind], steps.slice(0, -1));
    const near = nearest(steps.at(-1) ?? "", Object.keys(parent?.properties ?? {}));
    const meant = didYouMean(near === undefined ? undefined : [...steps.slice(0, -1), near].join("."));
    const message = `is no field: ${JSON.stringify(text)}; allowed: paths as in the manifest, such as spec.memory${meant}`;
    yield fault(["spec", "lifecycle", "ignoreChanges", index], message);
  }
}

function* dependsOnRules({ kind, spec, name }: Subject): Generator<PathFault> {
  for (const [index, text] of list(spec["dependsOn"]).entries()) {
    const ref: Ref | undefined = typeof text === "string" ? parseRef(text) : undefined;
    if (ref === undefined || typeof name !== "string" || refKey(ref) !== refKey({ kind, name })) continue;
    yield fault(["spec", "dependsOn", index], "is the guest itself; a guest can't wait for itself");
  }
}
