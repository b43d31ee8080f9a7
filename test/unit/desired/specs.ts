import fc from "fast-check";
import type { Kind } from "../../../src/model/ref.js";
import type { FormatName } from "../../../src/desired/formats.js";
import type { Schema } from "../../../src/desired/schema/build.js";
import { KIND_SCHEMAS } from "../../../src/desired/schema/index.js";
import { fieldOfKey } from "../../../src/desired/extra-config.js";

export type Map_ = Record<string, unknown>;

/** Texts that a format accepts. */
const SAMPLES: Record<FormatName, readonly string[]> = {
  "dns-name": ["a", "web-01", "WEB.Example.ORG", "1"],
  node: ["pve1", "PVE-2"],
  storage: ["nas", "local-lvm"],
  bridge: ["vmbr0", "lan_1"],
  interface: ["eth0", "lan"],
  mac: ["BC:24:11:00:00:01", "02:00:00:00:06:0a"],
  tag: ["web", "Web", "_a.b+c"],
  ipv4: ["10.0.0.1"],
  ipv6: ["fd00::1", "::"],
  "ipv4-config": ["10.0.0.5/24"],
  "ipv6-config": ["fd00::5/64"],
  nameserver: ["10.0.0.1", "fd00::1"],
  "search-domain": ["a", "a.example b.example"],
  "cpu-type": ["host", "x86-64-v2-AES"],
  "ssh-key": ["ssh-ed25519 AAAAC3Nz me@desk", " ssh-rsa AAAAB3Nz== "],
  serial: ["A-1"],
  line: ["debian", "on", "12", "ü #x: y"],
  "volume-id": ["local:vztmpl/x.tar.zst"],
  template: ["debian-12", "9000"],
  "absolute-path": ["/", "/srv/data"],
  "label-value": ["", "a", "1.10", "yes"],
  "field-path": ["spec.memory", "spec.tags"],
  ref: ["vm/elsewhere", "ct/elsewhere"],
};

const SLOTS: readonly string[] = ["scsi0", "scsi30", "net0", "net31", "mp0", "mp255", "virtio15", "app", "balloon"];

/** Values that one part of the schema allows. */
function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.quantity !== undefined) return fc.constantFrom("16Mi", "1.5Gi", "4Gi", 2 ** 30);
  if (schema.format !== undefined) return fc.constantFrom(...SAMPLES[schema.format]);
  switch (schema.type) {
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1000 });
    case "number":
      return fc.integer({ min: 0, max: 10 * (schema.maximum ?? 100) }).map((tenths) => tenths / 10);
    case "string":
      return fc.string({ maxLength: 40 });
    case "array":
      return fc.array(valuesOf(schema.items ?? {}), { maxLength: 3 });
    case "object":
      return mapsOf(schema);
    default:
      return fc.oneof(fc.constantFrom("text", "yes"), fc.integer(), fc.boolean());
  }
}

function mapsOf(schema: Schema): fc.Arbitrary<Map_> {
  const fixed = Object.entries(schema.properties ?? {}).map(([name, child]) => [name, valuesOf(child)] as const);
  const open = Object.entries(schema.patternProperties ?? {}).flatMap(([pattern, child]) =>
    SLOTS.filter((slot) => new RegExp(pattern, "u").test(slot)).map((slot) => [slot, valuesOf(child)] as const),
  );
  const all = Object.fromEntries([...fixed, ...open]);
  const required = [...(schema.required ?? [])];
  const maps: fc.Arbitrary<Map_> = fc.record(all, { requiredKeys: required });
  return maps.filter((map) => Object.keys(map).length >= (schema.minProperties ?? 0));
}

/** Makes a random document keep the rules across fields. */
function obey(kind: Kind, document: Map_): Map_ {
  const spec = map(document["spec"]);
  const from = map(spec["from"]);
  if (from["storage"] !== undefined && kind === "VirtualMachine") from["full"] = true;
  if (kind === "Container" && spec["from"] !== undefined) spec["rootfs"] ??= {};
  for (const [slot, value] of Object.entries(map(spec["disks"]))) {
    Object.assign(map(value), { storage: "nas", size: "1Gi" });
    if (slot.startsWith("virtio")) delete map(value)["ssd"];
  }
  if (spec["rootfs"] !== undefined) Object.assign(map(spec["rootfs"]), { storage: "nas", size: "4Gi" });
  for (const mount of Object.values(map(spec["mounts"])).map(map)) {
    if (mount["source"] === undefined) Object.assign(mount, { storage: "nas", size: "4Gi" });
    else for (const name of ["storage", "size", "backup"]) delete mount[name];
  }
  const networks = Object.entries(map(spec["networks"]));
  if (kind === "Container") for (const [slot, value] of networks) map(value)["name"] = slot;
  for (const value of [...networks, ...Object.entries(map(map(spec["cloudInit"])["addresses"]))].map(([, at]) =>
    map(at),
  )) {
    if (value["gateway"] !== undefined) value["ipv4"] = "10.0.0.5/24";
    if (value["gateway6"] !== undefined) value["ipv6"] = "fd00::5/64";
  }
  const extra = map(spec["extraConfig"]);
  for (const key of Object.keys(extra)) if (key === "app" || fieldOfKey(kind, key) !== undefined) delete extra[key];
  return document;
}

export function map(value: unknown): Map_ {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Map_) : {};
}

/** Valid documents of both kinds, every field among them. */
export const documents: fc.Arbitrary<Map_> = fc
  .constantFrom<Kind>("VirtualMachine", "Container")
  .chain((kind) => mapsOf(KIND_SCHEMAS[kind]).map((document) => obey(kind, document)));
