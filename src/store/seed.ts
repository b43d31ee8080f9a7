import type { GuestSummary, ObservedGuest, ObservedNode, ObservedState, ObservedStorage } from "../observed/types.js";
import type { TaskEntry } from "../tasks/types.js";
import type { Resource } from "../plan/types.js";

/** How much a profile has: nodes, guests, and days on each of which some of the guests change. */
export const SEED_PROFILES = {
  small: { nodes: 3, guests: 20, days: 5, changes: 4 },
  medium: { nodes: 8, guests: 500, days: 15, changes: 50 },
  large: { nodes: 32, guests: 10_000, days: 20, changes: 1000 },
} as const;

export type SeedProfile = keyof typeof SEED_PROFILES;

/** One day of a seeded cluster: what is seen, the tasks behind it, and what Proxmoor made by then. */
export interface SeedDay {
  readonly observed: ObservedState;
  readonly tasks: readonly TaskEntry[];
  readonly resources: readonly Resource[];
}

/** Resources are saved one by one, as runs do. */
const MOST_RESOURCES = 200;
const DAY_MS = 86_400_000;
/** The first day; a seed gives the same rows whenever it runs. */
const BEGIN = Date.UTC(2026, 0, 1);
const GIB = 2 ** 30;
const ROLES = ["web", "db", "cache", "mail", "build", "vpn", "git", "log"];
const USERS = ["root@pam", "alice@pve", "bob@pve", "proxmoor@pve!token"];

/** A guest as the seed remembers it from day to day. */
interface Guest {
  readonly kind: GuestSummary["kind"];
  readonly vmid: number;
  readonly name: string;
  readonly role: string;
  readonly uuid: string;
  node: number;
  status: "running" | "stopped";
  cores: number;
  memory: number;
  readonly disk: number;
}

/** A believable cluster over some days, the same for the same number. */
export function* seedDays(profile: SeedProfile, seed: number): Generator<SeedDay> {
  const { nodes, guests: count, days, changes } = SEED_PROFILES[profile];
  const random = generator(seed);
  const whole = (below: number): number => Math.floor(random() * below);
  const guests = Array.from({ length: count }, (_, at) => newGuest(100 + at, { nodes, whole }));
  let next = 100 + count;
  for (let day = 0; day < days; day++) {
    const at = BEGIN + day * DAY_MS;
    const tasks: TaskEntry[] = [];
    for (let change = 0; day > 0 && change < changes; change++) {
      const guest = guests[whole(guests.length)];
      if (guest === undefined) continue;
      const [type, place] = [changeGuest(guest, { nodes, whole }), guest.node];
      const startTime = at - 3_600_000 + change * 1000;
      const user = USERS[whole(USERS.length)] ?? "root@pam";
      tasks.push(taskEntry({ guest, type, node: `pve${place + 1}`, user, startTime, number: day * 100_000 + change }));
    }
    if (day > 0 && whole(2) === 0) {
      guests.splice(whole(guests.length), 1);
      guests.push(newGuest(next++, { nodes, whole }));
    }
    const resources = guests.filter((guest) => guest.vmid % 3 === 0).slice(0, MOST_RESOURCES);
    yield {
      observed: look(at, { nodes, guests, whole }),
      tasks,
      resources: day === days - 1 ? resources.map(resourceOf) : [],
    };
  }
}

/** mulberry32: 32 bits of state are enough for data that nobody has to trust. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Chance {
  readonly nodes: number;
  readonly whole: (below: number) => number;
}

function newGuest(vmid: number, { nodes, whole }: Chance): Guest {
  const role = ROLES[whole(ROLES.length)] ?? "web";
  return {
    kind: whole(4) === 0 ? "Container" : "VirtualMachine",
    vmid,
    name: `${role}-${vmid}`,
    role,
    uuid: `5eed0000-0000-4000-8000-${String(vmid).padStart(12, "0")}`,
    node: whole(nodes),
    status: whole(10) === 0 ? "stopped" : "running",
    cores: 1 + whole(8),
    memory: 512 * 2 ** whole(6),
    disk: 8 * 2 ** whole(5),
  };
}

/** Changes one thing and gives the type of the task that does so. */
function changeGuest(guest: Guest, { nodes, whole }: Chance): string {
  const prefix = guest.kind === "VirtualMachine" ? "qm" : "vz";
  switch (whole(4)) {
    case 0:
      guest.status = guest.status === "running" ? "stopped" : "running";
      return `${prefix}${guest.status === "running" ? "start" : "shutdown"}`;
    case 1:
      guest.node = (guest.node + 1 + whole(nodes - 1)) % nodes;
      return `${prefix === "qm" ? "qmigrate" : "vzmigrate"}`;
    case 2:
      guest.cores = 1 + whole(8);
      return `${prefix}config`;
    default:
      guest.memory = 512 * 2 ** whole(6);
      return `${prefix}config`;
  }
}

function taskEntry(of: {
  readonly guest: Guest;
  readonly type: string;
  readonly node: string;
  readonly user: string;
  readonly startTime: number;
  readonly number: number;
}): TaskEntry {
  const { guest, type, node, user, startTime, number } = of;
  const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");
  const upid = `UPID:${node}:${hex(number)}:${hex(number)}:${hex(startTime / 1000)}:${type}:${guest.vmid}:${user}:`;
  return { upid, node, type, id: String(guest.vmid), user, startTime, endTime: startTime + 2000, exit: "OK" };
}

function look(
  takenAt: number,
  { nodes, guests, whole }: Chance & { readonly guests: readonly Guest[] },
): ObservedState {
  const seen = guests.map(observedGuest);
  const names = Array.from({ length: nodes }, (_, at) => `pve${at + 1}`);
  return {
    takenAt,
    nodes: names.map((name) => observedNode(name, whole)),
    storages: [
      storage("local", { type: "dir", shared: false, names }),
      storage("ceph", { type: "rbd", shared: true, names }),
    ],
    summaries: new Map(),
    sights: new Map(seen.map((guest) => [guest.vmid, { at: "present", guest }])),
    complete: true,
  };
}

function observedNode(name: string, whole: Chance["whole"]): ObservedNode {
  const memory = 256 * GIB;
  const figures = {
    cpus: 64,
    cpuUsage: whole(100) / 100,
    memory,
    memoryUsed: whole(256) * GIB,
    uptime: whole(10_000_000),
  };
  return { name, status: "online", pveVersion: "9.2.1", ...figures };
}

function storage(
  id: string,
  { type, shared, names }: { readonly type: string; readonly shared: boolean; readonly names: readonly string[] },
): ObservedStorage {
  const figures = { active: true, total: 4096 * GIB, used: 1024 * GIB, available: 3072 * GIB };
  return {
    id,
    type,
    shared,
    enabled: true,
    content: ["images", "rootdir"],
    nodes: names.map((node) => ({ node, ...figures })),
  };
}

function observedGuest(guest: Guest): ObservedGuest {
  const { kind, vmid, name, status, cores, memory, disk, role, uuid } = guest;
  // The same on every day: a look then writes only what changed.
  const figures = {
    cpuUsage: (vmid % 100) / 100,
    memoryUsed: memory * 2 ** 19,
    uptime: 3600 * (1 + (vmid % 1000)),
    pid: 1000 + vmid,
  };
  return {
    kind,
    vmid,
    name,
    node: `pve${guest.node + 1}`,
    status,
    template: false,
    tags: [role, vmid % 2 === 0 ? "prod" : "test"],
    cpus: cores,
    memory: memory * 2 ** 20,
    disk: disk * GIB,
    networkIn: vmid * 2 ** 20,
    networkOut: vmid * 2 ** 18,
    ...(status === "running" ? figures : {}),
    config: configOf(guest),
    pending: {},
    digest: `${vmid}-${cores}-${memory}`,
    fields: {},
    pendingFields: [],
    identities: kind === "VirtualMachine" ? [uuid] : [],
  };
}

function configOf({ kind, vmid, name, cores, memory, disk, uuid }: Guest): Record<string, string> {
  const shared = { cores: String(cores), memory: String(memory), onboot: "1" };
  const mac = `BC:24:11:00:${(vmid >> 8).toString(16).padStart(2, "0")}:${(vmid & 255).toString(16).padStart(2, "0")}`;
  if (kind === "Container") {
    const net0 = `name=eth0,bridge=vmbr0,hwaddr=${mac.toUpperCase()},ip=dhcp,type=veth`;
    return { ...shared, hostname: name, ostype: "debian", rootfs: `ceph:vm-${vmid}-disk-0,size=${disk}G`, net0 };
  }
  return {
    ...shared,
    name,
    ostype: "l26",
    scsihw: "virtio-scsi-single",
    scsi0: `ceph:vm-${vmid}-disk-0,size=${disk}G`,
    net0: `virtio=${mac.toUpperCase()},bridge=vmbr0`,
    smbios1: `uuid=${uuid}`,
  };
}

function resourceOf({ kind, name, vmid, node, uuid, role, cores }: Guest): Resource {
  return {
    ref: { kind, name },
    vmid,
    node: `pve${node + 1}`,
    identity: uuid,
    phase: "ready",
    lastApplied: { "cpu.cores": cores },
    labels: { app: role },
    source: "manifests/seed.yaml",
    prune: "keep",
    generation: 1,
    observedGeneration: 1,
    conditions: [],
  };
}
