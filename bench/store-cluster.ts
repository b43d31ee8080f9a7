import type { VmRecord } from "../src/history/types.js";
import type { ObservedGuest, ObservedState } from "../src/observed/types.js";

const NODES = 32;

/** A configuration of the size that a VM of daily life has. */
function config(vmid: number): Record<string, string> {
  const hex = vmid.toString(16).padStart(6, "0").toUpperCase();
  return {
    agent: "1",
    balloon: "0",
    boot: "order=scsi0;net0",
    cores: "4",
    cpu: "x86-64-v2-AES",
    description: `Guest ${vmid} of the benchmark\nwith two lines`,
    ide2: "local-lvm:vm-cloudinit,media=cdrom,size=4M",
    ipconfig0: "ip=dhcp",
    machine: "q35",
    memory: "8192",
    meta: "creation-qemu=10.1.2,ctime=1764000000",
    name: `guest-${vmid}`,
    net0: `virtio=BC:24:11:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)},bridge=vmbr0,firewall=1`,
    numa: "0",
    onboot: "1",
    ostype: "l26",
    scsi0: `local-lvm:vm-${vmid}-disk-0,discard=on,iothread=1,size=32G`,
    scsihw: "virtio-scsi-single",
    serial0: "socket",
    smbios1: `uuid=00000000-0000-4000-8000-${String(vmid).padStart(12, "0")}`,
    sockets: "1",
    tags: "bench;prod",
    vga: "serial0",
    vmgenid: `10000000-0000-4000-8000-${String(vmid).padStart(12, "0")}`,
  };
}

function guest(vmid: number): ObservedGuest {
  return {
    kind: "VirtualMachine",
    vmid,
    node: `pve${vmid % NODES}`,
    name: `guest-${vmid}`,
    status: "running",
    template: false,
    tags: ["bench", "prod"],
    cpus: 4,
    cpuUsage: 0.25,
    memory: 2 ** 33,
    memoryUsed: 2 ** 32,
    disk: 2 ** 35,
    networkIn: vmid * 1000,
    networkOut: vmid * 2000,
    uptime: 86_400,
    pid: vmid,
    config: config(vmid),
    pending: {},
    digest: `digest-of-${vmid}`,
    fields: {},
    pendingFields: [],
    identities: [`00000000-0000-4000-8000-${String(vmid).padStart(12, "0")}`],
  };
}

/** A look at so many VMs; at any time the same ones. */
export function cluster(guests: number, takenAt: number): ObservedState {
  const seen = Array.from({ length: guests }, (_, at) => guest(100 + at));
  return {
    takenAt,
    nodes: Array.from({ length: NODES }, (_, at) => ({ name: `pve${at}`, status: "online" as const, cpus: 64 })),
    storages: [],
    summaries: new Map(),
    sights: new Map(seen.map((one) => [one.vmid, { at: "present", guest: one }])),
    complete: true,
  };
}

/** One VM as a record. */
export function record(vmid: number): VmRecord {
  return {
    id: vmid,
    nodeId: "pve1",
    name: `guest-${vmid}`,
    status: "running",
    template: false,
    memoryBytes: 2n ** 33n,
    haManaged: false,
    tags: ["bench", "prod"],
    config: config(vmid),
    pending: {},
  };
}
