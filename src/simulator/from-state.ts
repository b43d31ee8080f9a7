import { drive, isCloudInit, isDriveKey, isUnusedKey } from "./guests/qemu/drives.js";
import { isNetKey, parseNet } from "./guests/qemu/nets.js";
import { isMountKey, mountKind, parseMount } from "./guests/lxc/mounts.js";
import { parseLogin } from "./auth/login.js";
import { addAcl, addGuest, addNode, addStorage, addUser, bridge, emptyState, type Seeding } from "./profiles/base.js";
import type { Guest, State, StorageState, Volume } from "./state/model.js";
import { isFileStorage, parseVolname, splitVolid } from "./storage/names.js";
import { parseSize } from "./storage/sizes.js";
import { isShared } from "./storage/storages.js";

/** A cluster as somebody saw it, to be copied into a simulator. Sizes are bytes, times UTC seconds. */
export interface ClusterRecord {
  readonly name?: string;
  readonly nodes: readonly NodeRecord[];
  readonly storages: readonly StorageRecord[];
  readonly guests: readonly GuestRecord[];
  /** What the guests' configurations do not name: ISO images, templates, disks without an owner. */
  readonly volumes?: readonly VolumeRecord[];
  /** The only log-in, with just these privileges, instead of the simulator's own. */
  readonly login?: LoginRecord;
}

interface NodeRecord {
  readonly name: string;
  readonly online: boolean;
  readonly cpus?: number;
  readonly memory?: number;
  /** Seconds. */
  readonly uptime?: number;
  /** The bridges; left out: those that guests of the cluster name. */
  readonly bridges?: readonly string[];
}

interface LoginRecord {
  /** `root@pam`, or with a token `ops@pve!main`. */
  readonly name: string;
  /** The token's, or the password. */
  readonly secret: string;
  /** Path → privilege → whether it holds below that path too. */
  readonly privileges: Readonly<Record<string, Readonly<Record<string, boolean>>>>;
}

interface StorageRecord {
  readonly id: string;
  readonly type: string;
  readonly content: readonly string[];
  readonly enabled: boolean;
  readonly shared: boolean;
  readonly path?: string;
  /** The nodes that may use it, with the figures there where they are known. */
  readonly nodes: readonly { readonly node: string; readonly total?: number; readonly used?: number }[];
}

interface GuestRecord {
  readonly vmid: number;
  readonly kind: "qemu" | "lxc";
  readonly node: string;
  readonly name?: string;
  readonly status: "running" | "stopped" | "paused";
  readonly template: boolean;
  /** What is in force; undefined for a guest whose configuration was never read. */
  readonly config?: Readonly<Record<string, string>>;
  /** What waits for the next start: the new value, or null for a removal. */
  readonly pending?: Readonly<Record<string, string | null>>;
  readonly lock?: string;
  readonly pool?: string;
  /** HA's state of it; undefined where HA does not manage it. */
  readonly haState?: string;
  readonly uptime?: number;
  readonly cpus?: number;
  readonly memory?: number;
}

interface VolumeRecord {
  readonly volid: string;
  /** Where it was seen; without meaning on a shared storage. */
  readonly node: string;
  readonly content: string;
  readonly format?: string;
  readonly size: number;
  readonly used?: number;
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const DAY = 86_400;
/** What is believed of a node and a storage that say nothing of themselves. */
const NODE = { cpus: 8, memory: 32 * GIB };
const STORAGE_TOTAL = 250 * GIB;
/** A volume whose size nothing tells: an `unusedN`, a cloud-init drive. */
const UNKNOWN_SIZE = GIB;
const CLOUD_INIT_SIZE = 4 * MIB;

/** Builds the state of a simulator from what is known of a cluster; what is missing gets believable values. */
export function stateFrom(record: ClusterRecord, seeding: Seeding): State {
  const state = emptyState(seeding);
  if (record.nodes.length > 1 || record.name !== undefined) state.cluster.name = record.name ?? "copy";
  addNodes(state, seeding, record);
  for (const storage of record.storages) copyStorage(state, storage, record.nodes.length);
  for (const guest of record.guests) copyGuest(state, seeding, guest);
  const volumes = new Map<string, Volume>();
  for (const guest of Object.values(state.guests))
    for (const one of volumesOf(state, guest, seeding)) keep(volumes, one);
  for (const seen of record.volumes ?? []) keepSeen(state, volumes, seen, seeding);
  state.volumes = [...volumes.values()];
  for (const storage of record.storages) share(state, storage);
  if (record.login !== undefined) copyLogin(state, record.login);
  return state;
}

/** A user that holds what was seen: a role of its own for each path. The token is given the user's rights whole. */
function copyLogin(state: State, { name, secret, privileges }: LoginRecord): void {
  const { userid, tokenid } = parseLogin(name, "token");
  const tokens = tokenid === undefined ? {} : { [tokenid]: { secret, privsep: false } };
  addUser(state, { userid, password: tokenid === undefined ? secret : undefined, tokens });
  for (const [index, [path, held]] of Object.entries(privileges).entries())
    for (const propagate of [true, false]) {
      const names = Object.keys(held).filter((privilege) => held[privilege] === propagate);
      if (names.length === 0) continue;
      const roleid = `Copied-${index}${propagate ? "" : "-here"}`;
      state.access.roles[roleid] = names;
      addAcl(state, { path, type: "user", ugid: userid, roleid, propagate });
    }
}

/** A node that does not answer comes last: the first one is the one that calls without a node in their path get. */
function addNodes(state: State, seeding: Seeding, record: ClusterRecord): void {
  const named = new Set(["vmbr0", ...record.guests.flatMap(({ config = {} }) => bridgesIn(config))]);
  const sorted = [...record.nodes].sort((a, b) => Number(b.online) - Number(a.online) || (a.name < b.name ? -1 : 1));
  for (const [index, seen] of sorted.entries()) {
    const { name, cpus = NODE.cpus, memory = NODE.memory } = seen;
    const network = [...(seen.bridges ?? named)].sort().map((iface, at) => bridge(iface, at + 3));
    addNode(state, seeding, { name, id: index + 1, ip: `10.0.0.${index + 1}`, cpus, memory, network });
    const made = state.nodes[name];
    if (made === undefined) continue;
    made.online = seen.online;
    made.bootedAt = seeding.now - (seen.uptime ?? DAY);
  }
}

function bridgesIn(config: Readonly<Record<string, string>>): string[] {
  return Object.entries(config)
    .filter(([key]) => isNetKey(key))
    .map(([, value]) => /(?:^|,)bridge=([^,]+)/.exec(value)?.[1] ?? parseNet(value)["bridge"])
    .filter((name) => name !== undefined);
}

function copyStorage(state: State, seen: StorageRecord, nodes: number): void {
  const config: Record<string, string> = { content: seen.content.join(",") || "none" };
  if (seen.path !== undefined) config["path"] = seen.path;
  else if (isFileStorage(seen.type)) config["path"] = `/mnt/pve/${seen.id}`;
  else if (seen.type.startsWith("lvm")) Object.assign(config, { vgname: "pve", thinpool: seen.id });
  else config["pool"] = seen.id;
  if (!seen.enabled) config["disable"] = "1";
  if (seen.nodes.length > 0 && seen.nodes.length < nodes) config["nodes"] = seen.nodes.map((one) => one.node).join(",");
  const storage = addStorage(state, seen.id, seen.type, config);
  if (seen.shared && !isShared(storage)) config["shared"] = "1";
  storage.total = Math.max(...seen.nodes.map((one) => one.total ?? 0), 0) || STORAGE_TOTAL;
}

function copyGuest(state: State, seeding: Seeding, seen: GuestRecord): void {
  const { vmid, kind, node } = seen;
  const config: Record<string, string> = { ...(seen.config ?? unread(seen)) };
  // a digest is computed, never kept
  delete config["digest"];
  if (seen.template) config["template"] = "1";
  if (seen.lock !== undefined) config["lock"] = seen.lock;
  addGuest(state, seeding, { vmid, kind, node, config: {} });
  const guest = state.guests[String(vmid)];
  if (guest === undefined) return;
  guest.config = config;
  for (const [key, value] of Object.entries(seen.pending ?? {}))
    if (value !== null) guest.pending[key] = value;
    else if (config[key] !== undefined) guest.pendingDelete[key] = false;
  if (seen.status !== "stopped" && !seen.template) {
    state.nextPid += 7;
    const cpus = Number(config["sockets"] ?? 1) * Number(config["cores"] ?? 1);
    const startedAt = seeding.now - (seen.uptime ?? DAY);
    guest.run = { startedAt, pid: state.nextPid, paused: seen.status === "paused", cpus };
  }
  if (seen.pool !== undefined) (state.pools[seen.pool] ??= { vms: [], storages: [] }).vms.push(vmid);
  if (seen.haState !== undefined) manage(state, guest, seen.haState);
}

/** Of a guest whose node never answered only the list's figures are known. */
function unread({ name, kind, cpus, memory }: GuestRecord): Record<string, string> {
  return {
    ...(name !== undefined && { [kind === "qemu" ? "name" : "hostname"]: name }),
    ...(cpus !== undefined && { cores: String(cpus) }),
    ...(memory !== undefined && { memory: String(Math.round(memory / MIB)) }),
  };
}

function manage(state: State, { kind, vmid }: Guest, haState: string): void {
  const type = kind === "qemu" ? "vm" : "ct";
  const sid = `${type}:${vmid}`;
  const stopped = haState === "stopped" || haState === "request_stop" || haState === "disabled";
  (state.documents["ha-resources"] ??= {})[sid] = { sid, type, state: stopped ? "stopped" : "started" };
}

/** The volumes that a guest's configuration names, with the sizes that it tells. */
function volumesOf(state: State, guest: Guest, { now }: Seeding): Volume[] {
  const found: Volume[] = [];
  for (const [key, value] of [...Object.entries(guest.config), ...Object.entries(guest.pending)]) {
    const part = partOf(guest, key, value);
    if (part === undefined) continue;
    const made = volumeAt(state, part.volid, guest.node);
    if (made === undefined) continue;
    const content = made.content === "images" && guest.kind === "lxc" ? "rootdir" : made.content;
    found.push({ ...made, content, size: part.size, used: 0, ctime: now - DAY, bootable: true });
  }
  return found;
}

function partOf({ kind }: Guest, key: string, value: string): { volid: string; size: number } | undefined {
  const first = value.split(",")[0] ?? "";
  if (isUnusedKey(key)) return { volid: first, size: UNKNOWN_SIZE };
  if (kind === "lxc") {
    if (!isMountKey(key)) return undefined;
    const parts = parseMount(key, value);
    const volid = parts["volume"] ?? "";
    return mountKind(volid) === "volume" ? { volid, size: parseSize(parts["size"] ?? "") ?? UNKNOWN_SIZE } : undefined;
  }
  if (!isDriveKey(key)) return undefined;
  const parts = drive(key, value);
  const volid = parts["file"] ?? "";
  const size = parseSize(parts["size"] ?? "") ?? (isCloudInit(parts) ? CLOUD_INIT_SIZE : UNKNOWN_SIZE);
  return volid.includes(":") ? { volid, size } : undefined;
}

type Placed = Pick<Volume, "volid" | "storage" | "node" | "content" | "format" | "vmid" | "parent">;

/** A volume by its name; undefined where its storage is gone or would not take such a name. */
function volumeAt(state: State, volid: string, node: string): Placed | undefined {
  try {
    const { storage: name, volname } = splitVolid(volid);
    const storage = state.storages[name];
    if (storage === undefined) return undefined;
    const { content, format, vmid, base } = parseVolname(storage.type, volname);
    const parent = base === undefined ? undefined : `${name}:${folder(storage, base.vmid)}${base.name}`;
    const place = isShared(storage) ? {} : { node };
    return {
      volid,
      storage: name,
      content,
      format,
      ...place,
      ...(vmid !== undefined && { vmid }),
      ...(parent && { parent }),
    };
  } catch {
    return undefined;
  }
}

const folder = (storage: StorageState, vmid: number): string => (isFileStorage(storage.type) ? `${vmid}/` : "");

const keyOf = ({ volid, node }: Volume): string => `${node ?? ""} ${volid}`;

function keep(volumes: Map<string, Volume>, volume: Volume): void {
  if (!volumes.has(keyOf(volume))) volumes.set(keyOf(volume), volume);
}

/** What a storage's own list tells is better than what a configuration says. */
function keepSeen(state: State, volumes: Map<string, Volume>, seen: VolumeRecord, { now }: Seeding): void {
  const at = volumeAt(state, seen.volid, seen.node);
  if (at === undefined) return;
  const { content, size, format = at.format, used = 0 } = seen;
  const base = { ...at, content, size, used, format, ctime: now - DAY, bootable: true };
  volumes.set(keyOf(base), { ...base, ...(content === "import" && { holds: { virtual: String(size) } }) });
}

/** Lays what a node says is taken on a storage upon the volumes there, by their sizes; the rest is others'. */
function share(state: State, { id, nodes }: StorageRecord): void {
  const storage = state.storages[id];
  if (storage === undefined) return;
  const shared = isShared(storage);
  for (const { node, total = storage.total, used = 0 } of nodes) {
    const here = state.volumes.filter((one) => one.storage === id && (shared || one.node === node));
    const sizes = here.reduce((sum, one) => sum + one.size, 0);
    const part = sizes === 0 ? 0 : Math.min(1, used / sizes);
    for (const one of here) if (one.used === 0) one.used = Math.floor(one.size * part);
    const known = here.reduce((sum, one) => sum + one.used, 0);
    (storage.figures ??= {})[node] = { total, others: Math.max(0, used - known) };
  }
}
