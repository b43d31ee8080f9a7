import type { Call, Handlers } from "../call.js";
import { fail, refuse } from "../fault.js";
import type { State, StorageState, Volume } from "../state/model.js";
import { checkVolumeAccess } from "./access.js";
import { parseSize } from "./sizes.js";
import { isFileStorage, parseVolname } from "./names.js";
import { contentTypes, enabledStorage, hasFeature, storageOf } from "./storages.js";
import { allocate, findVolume, freeVolume, hasClones, locate, pathOf, volumesOf } from "./volumes.js";

/** A volume's row in the content list. */
function row(state: State, volume: Volume): Record<string, unknown> {
  const { volid, content, size, ctime } = volume;
  const image = content === "images" || content === "rootdir";
  return {
    volid,
    content,
    format: shownFormat(volume),
    size,
    ctime,
    ...(image && { used: volume.used, parent: parentOf(state, volume) }),
    ...(volume.vmid !== undefined && { vmid: volume.vmid }),
    ...(volume.subtype !== undefined && { subtype: volume.subtype }),
    ...(volume.notes !== undefined && { notes: volume.notes }),
    ...(volume.protected === true && { protected: 1 }),
  };
}

/** Templates are listed by their archive's kind, snippets as such. */
function shownFormat(volume: Volume): string {
  const name = volume.volid;
  if (volume.content === "vztmpl")
    return (
      /\.(tar\.(gz|xz|zst|bz2)|tar)$/
        .exec(name)?.[1]
        ?.replace("tar.gz", "tgz")
        .replace("tar.xz", "txz")
        .replace("tar.zst", "tzst") ?? "tar"
    );
  if (volume.content === "iso") return "iso";
  if (volume.content === "snippets") return "snippet";
  return volume.format;
}

/** The base of a linked clone as qcow2 files name it; lvmthin shows the volume's name. */
function parentOf(state: State, volume: Volume): string | null {
  if (volume.parent === undefined) return null;
  const { storage, parsed } = locate(state, volume.parent);
  return isFileStorage(storage.type) ? `../${parsed.vmid ?? 0}/${parsed.name}` : parsed.name;
}

function list(call: Call): unknown {
  const name = call.need("storage");
  const storage = enabledStorage(call.state, name, call.node);
  const vmid = call.int("vmid");
  const content = call.text("content");
  const allowed = new Set([...contentTypes(storage)]);
  return volumesOf(call.state, storage.storage, call.node)
    .filter((v) => (vmid === undefined || v.vmid === vmid) && (content === undefined || v.content === content))
    .filter((v) => allowed.has(v.content) || v.content === "rootdir")
    .filter((v) => mayList(call, storage, v))
    .sort((a, b) => (a.volid < b.volid ? -1 : 1))
    .map((volume) => row(call.state, volume));
}

/** Without Datastore.Allocate a volume is listed to those who may use it. */
function mayList(call: Call, storage: StorageState, volume: Volume): boolean {
  if (call.holds(`/storage/${storage.storage}`, ["Datastore.Allocate"])) return true;
  try {
    checkVolumeAccess(call, undefined, volume.volid);
    return true;
  } catch {
    return false;
  }
}

/** POST content: a new empty volume. The size is in KiB without a unit. */
function alloc(call: Call): string {
  const name = call.need("storage");
  const filename = call.need("filename");
  const given = call.text("format");
  const size = sizeOf(call.need("size"));
  const storage = storageOf(call.state, name);
  const byName = /\.(raw|qcow2|subvol|vmdk)$/.exec(filename)?.[1];
  if (given !== undefined && byName !== undefined && given !== byName)
    refuse({ format: `different storage formats (${given} != ${byName})` });
  const format = given ?? byName ?? "raw";
  enabledStorage(call.state, name, call.node);
  const vmid = call.int("vmid") ?? 0;
  if (isFileStorage(storage.type)) {
    if (byName === undefined || filename.includes("/")) fail(`unable to parse volume filename '${filename}'`);
    if (format === "subvol" && size > 0) fail("storage does not support subvol quotas");
  } else if (!new RegExp(`^(vm|subvol|base)-${vmid}-`).test(filename))
    fail(`illegal name '${filename}' - should be 'vm-${vmid}-*'`);
  const volid = `${name}:${isFileStorage(storage.type) ? `${vmid}/` : ""}${filename}`;
  if (findVolume(call.state, volid, call.node) !== undefined)
    fail(`disk image '${pathOf(locate(call.state, volid))}' already exists`);
  return allocate(call.world, { storage: name, node: call.node, vmid, format, size, name: filename }).volid;
}

function sizeOf(text: string): number {
  const bytes = parseSize(text) ?? 0;
  return /^\d+$/.test(text) ? bytes * 1024 : bytes;
}

/** The volume of the path: with or without its storage's name. */
function volidOf(call: Call): string {
  const storage = call.need("storage");
  const volume = call.need("volume");
  const named = /^([a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]):/.exec(volume)?.[1];
  if (named === undefined) return `${storage}:${volume}`;
  if (named !== storage) refuse({ volume: `storage ID mismatch (${named} != ${storage})\n` });
  return volume;
}

function info(call: Call): unknown {
  const volid = volidOf(call);
  const located = locate(call.state, volid);
  checkVolumeAccess(call, undefined, volid);
  const volume = findVolume(call.state, volid, call.node);
  if (volume === undefined) fail(`volume_size_info on '${volid}' failed - no format`);
  const raw = volume.content === "images" || volume.content === "rootdir" || volume.content === "import";
  const virtual = volume.holds?.["virtual"];
  return {
    path: pathOf(located),
    // qemu-img measures: an image's own size, of anything else whole sectors
    size: virtual !== undefined ? Number(virtual) : raw ? volume.size : Math.ceil(volume.size / 512) * 512,
    used: volume.used,
    format: raw ? volume.format : "raw",
    ...(volume.notes !== undefined && { notes: volume.notes }),
    ...(volume.content === "backup" && { protected: volume.protected === true ? 1 : 0 }),
  };
}

function update(call: Call): null {
  const volid = volidOf(call);
  const located = locate(call.state, volid);
  checkVolumeAccess(call, undefined, volid);
  const volume = findVolume(call.state, volid, call.node);
  const backup = located.parsed.content === "backup";
  const notes = call.text("notes");
  if (notes !== undefined && !backup) fail("only backups can have notes");
  if (call.has("protected") && !backup) fail("only backups support attribute 'protected'");
  if (volume === undefined) return null;
  if (notes !== undefined) volume.notes = notes;
  if (call.has("protected")) volume.protected = call.flag("protected");
  call.world.changed();
  return null;
}

/** DELETE content: a task, which with `delay` may end within the call. */
function free(call: Call): unknown {
  const { world } = call;
  const volid = volidOf(call);
  const located = locate(call.state, volid);
  const { storage, parsed } = located;
  checkFree(call, volid, parsed.content);
  const id =
    parsed.content === "images" && parsed.vmid !== undefined ? `${parsed.vmid}@${storage.storage}` : storage.storage;
  const upid = call.task("imgdel", id, function* (log) {
    enabledStorage(world.state, storage.storage, call.node);
    const volume = findVolume(world.state, volid, call.node);
    if (volume?.protected === true)
      fail(`cannot remove protected volume '${volid.slice(storage.storage.length + 1)}' on '${storage.storage}'`);
    if (hasClones(world.state, volid))
      fail(`base volume '${volid.slice(storage.storage.length + 1)}' is still in use by linked clones`);
    yield world.duration("imgdel");
    if (!freeVolume(world, volid, call.node)) log.line(`disk image '${pathOf(located)}' does not exist`);
    log.line(`Removed volume '${volid}'`);
  });
  return call.has("delay") && world.tasks.get(upid)?.status === "OK" ? null : upid;
}

function checkFree(call: Call, volid: string, content: string): void {
  const path = `/storage/${volid.split(":")[0] ?? ""}`;
  if (content === "backup" && call.holds(path, ["Datastore.AllocateSpace"])) {
    checkVolumeAccess(call, undefined, volid);
    return;
  }
  call.require(path, ["Datastore.Allocate"]);
}

/** POST content/{volume}: PVE copies a volume to another name; experimental there as well. */
function copy(call: Call): string {
  const { world } = call;
  const volid = volidOf(call);
  const { storage, parsed } = locate(call.state, volid);
  const target = call.need("target");
  checkVolumeAccess(call, undefined, volid);
  return call.task("imgcopy", "", function* () {
    const volume = findVolume(world.state, volid, call.node);
    if (volume === undefined || !hasFeature(storage, "copy", parsed)) fail(`volume '${volid}' does not exist`);
    yield world.duration("imgcopy");
    const name = parseVolname(storage.type, target.replace(/^[^:]+:/, ""));
    const at = { storage: storage.storage, node: call.node, vmid: name.vmid ?? volume.vmid ?? 0 };
    allocate(world, { ...at, format: volume.format, size: volume.size, name: name.name, content: volume.content });
  });
}

export const contentCalls: Handlers = {
  "GET /nodes/{node}/storage/{storage}/content": list,
  "POST /nodes/{node}/storage/{storage}/content": alloc,
  "GET /nodes/{node}/storage/{storage}/content/{volume}": info,
  "PUT /nodes/{node}/storage/{storage}/content/{volume}": update,
  "POST /nodes/{node}/storage/{storage}/content/{volume}": copy,
  "DELETE /nodes/{node}/storage/{storage}/content/{volume}": free,
};
