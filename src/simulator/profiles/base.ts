import { createHash } from "node:crypto";
import { hashPassword } from "../auth/tickets.js";
import type {
  AclEntry,
  Guest,
  GuestKind,
  NodeState,
  State,
  StorageState,
  Token,
  User,
  Volume,
} from "../state/model.js";
import { isShared } from "../storage/storages.js";

export interface Seeding {
  readonly seed: number;
  /** UTC seconds. */
  readonly now: number;
}

/** A state with the realms of every PVE and nothing else. Tickets too depend on the seed alone: it is for tests. */
export function emptyState({ seed }: Seeding): State {
  return {
    format: 1,
    cluster: { options: {}, ticketKey: createHash("sha256").update(`tickets of ${seed}`).digest("hex") },
    nodes: {},
    storages: {},
    volumes: [],
    guests: {},
    pools: {},
    access: {
      users: {},
      groups: {},
      roles: {},
      acl: [],
      realms: {
        pam: { type: "pam", comment: "Linux PAM standard authentication", config: {} },
        pve: { type: "pve", comment: "Proxmox VE authentication server", config: {} },
      },
    },
    tasks: [],
    documents: {},
    random: seed,
    nextPid: 100_000,
  };
}

export interface NodeSeed {
  readonly name: string;
  readonly id: number;
  readonly ip: string;
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
  readonly network: Record<string, unknown>[];
  readonly dns?: Record<string, string>;
}

export function addNode(state: State, { now }: Seeding, node: NodeSeed): void {
  const made: NodeState = {
    dns: { search: "example.org", dns1: "10.0.0.1" },
    ...node,
    online: true,
    bootedAt: now - 86_400,
    config: {},
    timezone: "UTC",
  };
  state.nodes[node.name] = made;
}

const DISK = 250 * 2 ** 30;

export function addStorage(state: State, storage: string, type: string, config: Record<string, string>): StorageState {
  const made: StorageState = { storage, type, config, total: DISK };
  state.storages[storage] = made;
  return made;
}

export type VolumeSeed = Pick<Volume, "volid" | "content" | "format" | "size"> & Partial<Volume>;

/** A volume on a node; on a shared storage the node does not matter. */
export function addVolume(state: State, { now }: Seeding, node: string, seed: VolumeSeed): void {
  const storage = seed.volid.split(":")[0] ?? "";
  const shared = isShared(state.storages[storage] ?? { storage, type: "dir", config: {}, total: 0 });
  const base = { storage, used: Math.min(seed.size, 331_776), ctime: now - 3600 };
  state.volumes.push({ ...base, ...(!shared && { node }), ...seed });
}

export interface GuestSeed {
  readonly vmid: number;
  readonly kind: GuestKind;
  readonly node: string;
  readonly config: Record<string, string>;
  readonly running?: boolean;
}

export function addGuest(state: State, { now }: Seeding, seed: GuestSeed): void {
  const { vmid, kind, node, config } = seed;
  const guest: Guest = {
    vmid,
    kind,
    node,
    config: { ...config },
    pending: {},
    pendingDelete: {},
    snapshots: {},
    createdAt: now - 3600,
  };
  if (kind === "qemu") guest.config["meta"] ??= `creation-qemu=10.0.2,ctime=${now - 3600}`;
  if (kind === "lxc" && config["description"] !== undefined)
    guest.config["description"] = `${config["description"].trimEnd()}\n`;
  if (seed.running === true) {
    state.nextPid += 7;
    const cpus = Number(config["sockets"] ?? 1) * Number(config["cores"] ?? 1);
    guest.run = { startedAt: now - 3600, pid: state.nextPid, paused: false, cpus };
  }
  state.guests[String(vmid)] = guest;
}

export interface UserSeed {
  readonly userid: string;
  readonly groups?: readonly string[];
  readonly password?: string | undefined;
  readonly tokens: Readonly<Record<string, { readonly secret: string; readonly privsep: boolean }>>;
}

export function addUser(state: State, seed: UserSeed): void {
  const tokens: Record<string, Token> = {};
  for (const [id, token] of Object.entries(seed.tokens)) tokens[id] = { ...token, expire: 0 };
  const user: User = { enable: true, expire: 0, groups: [...(seed.groups ?? [])], tokens };
  if (seed.password !== undefined) user.password = hashPassword(seed.password);
  state.access.users[seed.userid] = user;
}

export function addAcl(state: State, entry: AclEntry): void {
  state.access.acl.push(entry);
}

/** A Linux bridge without ports, as `GET network` shows it. */
export function bridge(iface: string, priority: number, cidr?: string): Record<string, unknown> {
  const base = {
    iface,
    type: "bridge",
    active: 1,
    autostart: 1,
    bridge_fd: "0",
    bridge_ports: "",
    bridge_stp: "off",
    families: ["inet"],
    method6: "manual",
    priority,
  };
  if (cidr === undefined) return { ...base, method: "manual" };
  const [address = "", netmask = "24"] = cidr.split("/");
  return { ...base, method: "static", address, netmask, cidr };
}
