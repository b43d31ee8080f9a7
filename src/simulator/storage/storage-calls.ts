import type { Call, Handlers } from "../call.js";
import { fail, refuse } from "../fault.js";
import type { StorageState } from "../state/model.js";
import { storageFigures } from "./figures.js";
import { contentTypes, diskFormats, enabledStorage, isOnNode, isShared, storageOf } from "./storages.js";
import { locate } from "./volumes.js";

/** PVE's `storage_info` of one storage. */
function status(call: Call, storage: StorageState): Record<string, unknown> {
  const enabled = storage.config["disable"] !== "1" && isOnNode(storage, call.node);
  const { total, used, avail } = enabled
    ? storageFigures(call.world, storage, call.node)
    : { total: 0, used: 0, avail: 0 };
  return {
    type: storage.type,
    content: storage.config["content"] ?? "images,rootdir",
    shared: isShared(storage) ? 1 : 0,
    enabled: enabled ? 1 : 0,
    active: enabled ? 1 : 0,
    total,
    used,
    avail,
  };
}

function list(call: Call): unknown {
  const content = call.list("content");
  const only = call.text("storage");
  if (only !== undefined && call.state.storages[only] === undefined) refuse({ storage: "No such storage." });
  const other = call.text("target");
  const target = other === call.node || other === "localhost" ? undefined : other;
  const rows: Record<string, unknown>[] = [];
  for (const storage of Object.values(call.state.storages)) {
    const name = storage.storage;
    if (only !== undefined && only !== name) continue;
    if (!call.holds(`/storage/${name}`, ["Datastore.Audit", "Datastore.AllocateSpace"], true)) continue;
    const info = status(call, storage);
    if (content.length > 0) {
      if (info["enabled"] === 0 || !content.some((type) => contentTypes(storage).includes(type))) continue;
    }
    if (call.flag("enabled") && info["enabled"] === 0) continue;
    if (target !== undefined && (!isOnNode(storage, target) || info["enabled"] === 0)) continue;
    rows.push({
      storage: name,
      ...info,
      ...(info["enabled"] === 1 && { used_fraction: Number(info["used"]) / Number(info["total"]) }),
      ...(call.flag("format") && formats(storage)),
    });
  }
  return rows;
}

function formats(storage: StorageState): Record<string, unknown> {
  const supported = diskFormats(storage);
  const first = supported[0] ?? "raw";
  return {
    format: [Object.fromEntries(supported.map((format) => [format, 1])), first],
    formats: { default: first, supported: [...supported].sort() },
  };
}

const INDEX =
  "content download-url file-restore import-metadata identity oci-registry-pull prunebackups rrd rrddata status upload";

/** GET import-metadata: only appliances and their like tell of a whole VM. */
function importMetadata(call: Call): unknown {
  const volid = call.need("volume");
  const { storage } = enabledStorage(call.state, call.need("storage"), call.node);
  const full = volid.includes(":") ? volid : `${storage}:${volid}`;
  const { parsed } = locate(call.state, full);
  if (parsed.content !== "import") fail(`unable to use volume ${full} - content type needs to be 'import'`);
  return { type: "vm", source: "ova", "create-args": {}, disks: {}, net: {}, warnings: [] };
}

export const storageCalls: Handlers = {
  "GET /nodes/{node}/storage/{storage}/import-metadata": importMetadata,
  "GET /nodes/{node}/storage": list,
  "GET /nodes/{node}/storage/{storage}": () => INDEX.split(" ").map((subdir) => ({ subdir })),
  "GET /nodes/{node}/storage/{storage}/status": (call) => {
    const storage = call.state.storages[call.need("storage")];
    return storage === undefined ? refuse({ storage: "No such storage." }) : status(call, storage);
  },
  "GET /nodes/{node}/storage/{storage}/identity": (call) => {
    storageOf(call.state, call.need("storage"));
    return fail("get_identity not implemented for this plugin at /usr/share/perl5/PVE/Storage/Plugin.pm line 2681.");
  },
};
