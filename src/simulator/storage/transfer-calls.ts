import { createHash } from "node:crypto";
import type { Call, Handlers } from "../call.js";
import { fail, refuse } from "../fault.js";
import type { Volume } from "../state/model.js";
import { contentTypes, enabledStorage, isShared, storageOf } from "./storages.js";
import { findVolume, locate, pathOf } from "./volumes.js";

const EXTENSIONS: Readonly<Record<string, RegExp>> = {
  iso: /\.(iso|img)$/i,
  vztmpl: /\.tar(\.(gz|xz|zst|bz2))?$/i,
  import: /\.(ova|qcow2|raw|vmdk)$/i,
};
const FORMATS: Readonly<Record<string, string>> = { iso: "iso", vztmpl: "tgz" };
const SIZE_UNKNOWN = 64 * 2 ** 20;

/** The name a file gets: PVE replaces what it does not like. */
const cleanName = (name: string): string => name.replace(/^.*[/\\]/, "").replace(/[^-a-zA-Z0-9_.]/g, "_");

function checkName(content: string, name: string): void {
  if (EXTENSIONS[content]?.test(name) !== true) refuse({ filename: "wrong file extension" });
}

interface Arrival {
  readonly storage: string;
  readonly content: string;
  readonly name: string;
  readonly size: number;
}

/** A file that came in: an existing one of the name is overwritten. */
function place(call: Call, { storage, content, name, size }: Arrival): void {
  const { world, state } = call;
  const volid = `${storage}:${content}/${name}`;
  const format = FORMATS[content] ?? name.replace(/^.*\./, "");
  const shared = isShared(storageOf(state, storage));
  const volume: Volume = { volid, storage, content, format, size, used: size, ctime: world.seconds() };
  if (!shared) volume.node = call.node;
  if (content === "iso") volume.bootable = true;
  if (content === "vztmpl") volume.holds = { ostype: /alpine/.test(name) ? "alpine" : "debian", arch: "amd64" };
  state.volumes = state.volumes.filter((v) => v.volid !== volid || (v.node ?? call.node) !== call.node);
  state.volumes.push(volume);
  world.changed();
}

/** POST upload: the file came with the call; a task takes it to its place. */
function upload(call: Call): string {
  const storage = call.need("storage");
  const content = call.need("content");
  const name = cleanName(call.need("filename"));
  const file = call.upload ?? fail("no file in the upload");
  checkName(content, name);
  const found = enabledStorage(call.state, storage, call.node);
  if (!contentTypes(found).includes(content)) fail(`storage '${storage}' does not support '${content}' content`);
  const algorithm = call.text("checksum-algorithm");
  const expected = call.text("checksum");
  const temporary = `/var/tmp/pveupload-${call.world.random.hex(32)}`;
  const target = pathOf(locate(call.state, `${storage}:${content}/${name}`));
  return call.task("imgcopy", "", function* (log) {
    log.line(`starting file import from: ${temporary}`);
    if (algorithm !== undefined && expected !== undefined) {
      const got = createHash(algorithm).update(file.content).digest("hex");
      log.line("calculating checksum...");
      if (got !== expected.toLowerCase()) fail(`checksum mismatch: got '${got}' != expect '${expected}'`);
      log.line("OK, checksum verified");
    }
    log.line(`target node: ${call.node}`);
    log.line(`target file: ${target}`);
    log.line(`file size is: ${file.size}`);
    log.line(`command: cp -- ${temporary} ${target}`);
    yield call.world.duration("imgcopy");
    place(call, { storage, content, name, size: file.size });
    log.line("finished file import successfully");
  });
}

/** POST download-url. The simulator reaches no network: hosts on this machine refuse, others answer with a file. */
function download(call: Call): string {
  const storage = call.need("storage");
  const content = call.need("content");
  const name = cleanName(call.need("filename"));
  const url = call.need("url");
  checkName(content, name);
  const found = enabledStorage(call.state, storage, call.node);
  if (!contentTypes(found).includes(content))
    fail(`storage '${storage}' is not configured for content-type '${content}'`);
  const volid = `${storage}:${content}/${name}`;
  const target = pathOf(locate(call.state, volid));
  return call.task("download", name, function* (log) {
    log.line(`downloading ${url} to ${target}`);
    if (findVolume(call.state, volid, call.node) !== undefined) fail(`refusing to override existing file '${target}'`);
    yield call.world.duration("download");
    const { hostname, port, protocol } = new URL(url);
    const shown = port === "" ? (protocol === "https:" ? "443" : "80") : port;
    if (hostname === "127.0.0.1" || hostname === "localhost")
      fail(`download failed: Connecting to ${hostname}:${shown}... failed: Connection refused.`);
    place(call, { storage, content, name, size: SIZE_UNKNOWN });
    log.line(`download of '${url}' to '${target}' finished`);
  });
}

/** POST oci-registry-pull: an image of a registry becomes a template. */
function pull(call: Call): string {
  const storage = call.need("storage");
  const reference = call.need("reference");
  const found = enabledStorage(call.state, storage, call.node);
  if (!contentTypes(found).includes("vztmpl")) fail(`storage '${storage}' is not configured for content-type 'vztmpl'`);
  const name = cleanName(`${call.text("filename") ?? reference.replace(/^.*\//, "").replace(":", "_")}.tar`);
  return call.task("ociregistrypull", name, function* () {
    yield call.world.duration("download");
    place(call, { storage, content: "vztmpl", name, size: SIZE_UNKNOWN });
  });
}

export const transferCalls: Handlers = {
  "POST /nodes/{node}/storage/{storage}/upload": upload,
  "POST /nodes/{node}/storage/{storage}/download-url": download,
  "POST /nodes/{node}/storage/{storage}/oci-registry-pull": pull,
};
