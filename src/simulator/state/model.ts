/**
 * Everything the simulated cluster remembers, as plain JSON: what the state file holds.
 * Times are UTC seconds (as PVE keeps them), sizes bytes, configuration values the texts of PVE's files.
 */
export interface State {
  readonly format: 1;
  cluster: ClusterState;
  nodes: Record<string, NodeState>;
  storages: Record<string, StorageState>;
  volumes: Volume[];
  guests: Record<string, Guest>;
  pools: Record<string, Pool>;
  access: AccessState;
  tasks: Task[];
  /** Backup jobs, HA, mappings, metrics …: documents that are only kept, by kind and id. */
  documents: Record<string, Record<string, Document>>;
  random: number;
  nextPid: number;
}

export type Document = Record<string, string | string[]>;

export interface ClusterState {
  /** Undefined: a single node without a cluster. */
  name?: string;
  options: Record<string, string>;
  /** Signs tickets. */
  ticketKey: string;
}

export interface NodeState {
  readonly name: string;
  readonly id: number;
  readonly ip: string;
  readonly cpus: number;
  readonly memory: number;
  online: boolean;
  /** Offline by a fault, until it is taken away. */
  away?: true | undefined;
  bootedAt: number;
  network: Record<string, unknown>[];
  /** What is in force while `network` has changes that wait for a reload. */
  networkInForce?: Record<string, unknown>[];
  config: Record<string, string>;
  dns: Record<string, string>;
  timezone: string;
}

export interface StorageState {
  readonly storage: string;
  readonly type: string;
  /** PVE's own keys (path, server, content, nodes, disable …). */
  config: Record<string, string>;
  /** Bytes, on each node alike unless `figures` say otherwise. */
  total: number;
  /** By node: its size there, and what is taken by what is no volume. Left out: a twentieth. */
  figures?: Record<string, { total: number; others: number }>;
}

export interface Volume {
  volid: string;
  storage: string;
  /** Undefined on a shared storage. */
  node?: string | undefined;
  content: string;
  format: string;
  size: number;
  /** Bytes taken on the storage. */
  used: number;
  vmid?: number | undefined;
  /** The base volume of a linked clone, by volid. */
  parent?: string | undefined;
  ctime: number;
  notes?: string | undefined;
  protected?: boolean | undefined;
  subtype?: string | undefined;
  /** A system that reacts to the power button boots from it. */
  bootable?: boolean | undefined;
  /** What a template or backup holds, for those who make a guest of it. */
  holds?: Record<string, string> | undefined;
}

export type GuestKind = "qemu" | "lxc";

export interface Guest {
  readonly vmid: number;
  readonly kind: GuestKind;
  node: string;
  config: Record<string, string>;
  /** Values that wait for the next start. */
  pending: Record<string, string>;
  /** Keys that wait to be deleted; true with `force`. */
  pendingDelete: Record<string, boolean>;
  /** Config sections of snapshots, with snaptime, parent, description among the keys. */
  snapshots: Record<string, Record<string, string>>;
  /** What the cloud-init drive still holds of keys that changed since; null for one that was not there. */
  cloudInit?: Record<string, string | null> | undefined;
  run?: Running | undefined;
  createdAt: number;
}

/** What only a running guest has. */
export interface Running {
  startedAt: number;
  pid: number;
  paused: boolean;
  /** The config that the machine was started with and what was plugged since. */
  cpus: number;
  reset?: number;
  /** What the guest agent was told to do. */
  agent?: AgentState;
}

export interface AgentState {
  frozen?: boolean;
  files?: Record<string, string>;
  /** By pid from 1001: the output, and when it ends (UTC milliseconds). */
  programs?: { out: string; code: number; endsAt: number }[];
}

export interface Pool {
  comment?: string | undefined;
  vms: number[];
  storages: string[];
}

export interface User {
  enable: boolean;
  expire: number;
  groups: string[];
  password?: string | undefined;
  comment?: string | undefined;
  email?: string | undefined;
  firstname?: string | undefined;
  lastname?: string | undefined;
  keys?: string | undefined;
  tokens: Record<string, Token>;
}

export interface Token {
  secret: string;
  privsep: boolean;
  expire: number;
  comment?: string | undefined;
}

export interface AclEntry {
  path: string;
  type: "user" | "group" | "token";
  ugid: string;
  roleid: string;
  propagate: boolean;
}

export interface Realm {
  type: string;
  comment?: string | undefined;
  config: Record<string, string>;
}

export interface AccessState {
  users: Record<string, User>;
  groups: Record<string, { comment?: string | undefined }>;
  /** Roles that somebody made; PVE's own are in the code. */
  roles: Record<string, string[]>;
  /** Privileges that a fault has taken away from everybody but root. */
  withheld?: string[] | undefined;
  acl: AclEntry[];
  realms: Record<string, Realm>;
}

export interface Task {
  readonly upid: string;
  readonly node: string;
  readonly pid: number;
  readonly pstart: number;
  readonly starttime: number;
  readonly type: string;
  readonly id: string;
  /** With the token: `ops@pve!main`. */
  readonly user: string;
  log: string[];
  endtime?: number | undefined;
  /** `OK`, `WARNINGS: n` or the error; undefined while it runs. */
  status?: string | undefined;
}
