import { createHash } from "node:crypto";
import { within } from "../access/users.js";
import type { Call, Handlers } from "../call.js";
import { fail } from "../fault.js";
import type { StorageState } from "../state/model.js";
import { CALL_SHAPES } from "../table/table.js";
import { isShared, storageOf } from "./storages.js";
import { splitList } from "../table/check.js";

const CREATE = CALL_SHAPES.get("POST /storage")?.params ?? {};
const DISK = 250 * 2 ** 30;

/** Options that every storage has, beside those of its type. */
const COMMON = [
  "content",
  "nodes",
  "disable",
  "shared",
  "prune-backups",
  "max-protected-backups",
  "bwlimit",
  "preallocation",
  "format",
];
const FILES = [
  "mkdir",
  "create-base-path",
  "create-subdirs",
  "is_mountpoint",
  "content-dirs",
  "snapshot-as-volume-chain",
];
/** What a type must have (`fixed`) and may have; without `more` it takes any option. */
const TYPES: Readonly<Record<string, { readonly required: readonly string[]; readonly more?: readonly string[] }>> = {
  dir: { required: ["path"], more: FILES },
  btrfs: { required: ["path"], more: [...FILES, "nocow"] },
  nfs: { required: ["server", "export"], more: [...FILES, "path", "options"] },
  cifs: {
    required: ["server", "share"],
    more: [...FILES, "path", "options", "username", "password", "domain", "smbversion", "subdir"],
  },
  lvm: {
    required: ["vgname"],
    more: ["base", "saferemove", "saferemove_throughput", "tagged_only", "snapshot-as-volume-chain"],
  },
  lvmthin: { required: ["thinpool", "vgname"], more: [] },
  zfspool: { required: ["pool"], more: ["blocksize", "sparse", "mountpoint"] },
  zfs: { required: ["iscsiprovider", "pool", "portal", "target"] },
  iscsi: { required: ["portal", "target"] },
  iscsidirect: { required: ["portal", "target"] },
  pbs: { required: ["server", "datastore"] },
  esxi: { required: ["server"] },
};

/** What a storage is for unless told otherwise; file and volume managers take containers as well. */
const CONTENT: Readonly<Record<string, string>> = {
  dir: "images,rootdir",
  btrfs: "images,rootdir",
  lvmthin: "images,rootdir",
  zfspool: "images,rootdir",
  pbs: "backup",
  cephfs: "backup",
  esxi: "import",
};
const DEFAULT_CONTENT = "images";

/** The file's digest: all storages share one. */
function digestOf(call: Call): string {
  const rows = Object.values(call.state.storages).map(({ storage, type, config }) => [
    storage,
    type,
    Object.entries(config).sort(),
  ]);
  return createHash("sha1").update(JSON.stringify(rows)).digest("hex");
}

function shown(call: Call, storage: StorageState): Record<string, unknown> {
  const out: Record<string, unknown> = { storage: storage.storage, type: storage.type };
  for (const [key, value] of Object.entries(storage.config)) {
    const type = CREATE[key]?.type;
    out[key] = type === "boolean" || type === "integer" ? Number(value) : value;
  }
  if (isShared(storage)) out["shared"] = 1;
  return { ...out, digest: digestOf(call) };
}

function list(call: Call): unknown {
  const type = call.text("type");
  return Object.values(call.state.storages)
    .filter((storage) => type === undefined || storage.type === type)
    .filter(({ storage }) => call.holds(`/storage/${storage}`, ["Datastore.Audit", "Datastore.AllocateSpace"], true))
    .map((storage) => shown(call, storage));
}

const CONTROL = new Set(["storage", "type", "delete", "digest"]);

function settings(call: Call): Record<string, string> {
  const out: Record<string, string> = {};
  for (const key of Object.keys(call.params)) if (!CONTROL.has(key)) out[key] = call.need(key);
  return out;
}

function checkOptions(type: string, config: Readonly<Record<string, string>>): void {
  const content = splitList(config["content"] ?? "");
  if (content.length > 1 && content.includes("none")) fail("unable to combine 'none' with other content types");
  const known = TYPES[type];
  if (known === undefined) return;
  for (const key of known.required) if (config[key] === undefined) fail(`missing value for required option '${key}'`);
  for (const key of Object.keys(config))
    if (known.more !== undefined && ![...COMMON, ...known.required, ...known.more].includes(key))
      fail(`unexpected property '${key}'`);
}

function create(call: Call): unknown {
  const name = call.need("storage");
  const type = call.need("type");
  const config = settings(call);
  checkOptions(type, config);
  within("create storage failed", () => {
    if (call.state.storages[name] !== undefined) fail(`storage ID '${name}' already defined`);
  });
  config["content"] ??= CONTENT[type] ?? DEFAULT_CONTENT;
  config["path"] ??= ["nfs", "cifs", "cephfs"].includes(type) ? `/mnt/pve/${name}` : "";
  if (config["path"] === "") delete config["path"];
  call.state.storages[name] = { storage: name, type, config, total: DISK };
  call.world.changed();
  return { storage: name, type };
}

function update(call: Call): unknown {
  const name = call.need("storage");
  const next = settings(call);
  const storage = within("update storage failed", () => {
    const found = storageOf(call.state, name);
    const digest = call.text("digest");
    if (digest !== undefined && digest !== digestOf(call))
      fail("detected modified configuration - file changed by other user? Try again.");
    checkOptions(found.type, { ...found.config, ...next });
    for (const key of splitList(call.text("delete") ?? "")) {
      const known = TYPES[found.type];
      const options = [...COMMON, ...(known?.required ?? []), ...(known?.more ?? Object.keys(CREATE))];
      if (!options.includes(key)) fail(`no such option '${key}'`);
      if (known?.required.includes(key) === true) fail(`unable to delete required option '${key}'`);
      if (next[key] !== undefined) fail(`cannot set and delete property '${key}' at the same time!`);
    }
    return found;
  });
  for (const key of splitList(call.text("delete") ?? "")) delete storage.config[key];
  Object.assign(storage.config, next);
  storage.config["content"] ??= CONTENT[storage.type] ?? DEFAULT_CONTENT;
  call.world.changed();
  return { storage: name, type: storage.type };
}

function remove(call: Call): null {
  const name = call.need("storage");
  within("delete storage failed", () => storageOf(call.state, name));
  delete call.state.storages[name];
  for (const pool of Object.values(call.state.pools)) pool.storages = pool.storages.filter((one) => one !== name);
  call.state.access.acl = call.state.access.acl.filter((entry) => entry.path !== `/storage/${name}`);
  call.world.changed();
  return null;
}

export const storageConfigCalls: Handlers = {
  "GET /storage": list,
  "POST /storage": create,
  "GET /storage/{storage}": (call) => shown(call, storageOf(call.state, call.need("storage"))),
  "PUT /storage/{storage}": update,
  "DELETE /storage/{storage}": remove,
};
