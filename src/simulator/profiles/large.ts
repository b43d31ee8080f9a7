import type { ClusterRecord } from "../from-state.js";

const GIB = 2 ** 30;
const MAX_NODES = 999;

type Guest = ClusterRecord["guests"][number];

const two = (value: number): string => (value & 255).toString(16).padStart(2, "0").toUpperCase();
const mac = (vmid: number): string => `BC:24:11:${two(vmid >> 16)}:${two(vmid >> 8)}:${two(vmid)}`;
const uuid = (vmid: number): string => `00000000-0000-4000-8000-${String(vmid).padStart(12, "0")}`;

/** Where disks are, in turn: the common types of storages, local and shared. */
const DISKS = ["local-lvm", "tank", "nas", "ceph"] as const;

function disk(storage: (typeof DISKS)[number], vmid: number): string {
  return storage === "nas" ? `nas:${vmid}/vm-${vmid}-disk-0.qcow2` : `${storage}:vm-${vmid}-disk-0`;
}

function vm(vmid: number, node: string, index: number): Guest {
  const storage = DISKS[index % DISKS.length] ?? "nas";
  return {
    vmid,
    kind: "qemu",
    node,
    status: index % 5 === 0 ? "stopped" : "running",
    template: false,
    config: {
      name: `vm-${vmid}`,
      boot: "order=scsi0;net0",
      cores: String(1 + (index % 4)),
      memory: String(1024 * (1 + (index % 4))),
      meta: "creation-qemu=10.0.2,ctime=1767225600",
      net0: `virtio=${mac(vmid)},bridge=vmbr${index % 2},firewall=1`,
      onboot: "1",
      ostype: "l26",
      scsi0: `${disk(storage, vmid)},discard=on,iothread=1,size=16G`,
      scsihw: "virtio-scsi-single",
      smbios1: `uuid=${uuid(vmid)}`,
      tags: index % 2 === 0 ? "prod;web" : "test",
      vmgenid: uuid(vmid),
    },
  };
}

function container(vmid: number, node: string, index: number): Guest {
  return {
    vmid,
    kind: "lxc",
    node,
    status: index % 5 === 0 ? "stopped" : "running",
    template: false,
    config: {
      arch: "amd64",
      cores: "1",
      hostname: `ct-${vmid}`,
      memory: "512",
      net0: `name=eth0,bridge=vmbr0,hwaddr=${mac(vmid)},ip=dhcp,type=veth`,
      ostype: "debian",
      rootfs: `local-lvm:vm-${vmid}-disk-0,size=8G`,
      swap: "512",
      unprivileged: "1",
    },
  };
}

/**
 * A made-up cluster of any size: guests spread over `pve1` …, every fourth one a container, disks on storages of the
 * common types. @throws RangeError for fewer than one node, more than 999, or a negative number of guests
 */
export function largeCluster({ nodes, guests }: { nodes: number; guests: number }): ClusterRecord {
  if (nodes < 1 || nodes > MAX_NODES || guests < 0) throw new RangeError(`${nodes} nodes with ${guests} guests`);
  const names = Array.from({ length: nodes }, (_, index) => `pve${index + 1}`);
  const everywhere = (total: number, used: number) => names.map((node) => ({ node, total, used }));
  const disks = ["images", "rootdir"];
  const local = { enabled: true, shared: false };
  const shared = { enabled: true, shared: true };
  const files = ["backup", "iso", "snippets", "vztmpl"];
  return {
    name: "large",
    nodes: names.map((name) => ({ name, online: true, cpus: 64, memory: 512 * GIB, bridges: ["vmbr0", "vmbr1"] })),
    storages: [
      {
        ...local,
        id: "local",
        type: "dir",
        content: files,
        path: "/var/lib/vz",
        nodes: everywhere(200 * GIB, 20 * GIB),
      },
      { ...local, id: "local-lvm", type: "lvmthin", content: disks, nodes: everywhere(20_000 * GIB, 2_000 * GIB) },
      { ...local, id: "tank", type: "zfspool", content: disks, nodes: everywhere(20_000 * GIB, 2_000 * GIB) },
      {
        ...shared,
        id: "nas",
        type: "nfs",
        content: [...disks, ...files],
        nodes: everywhere(200_000 * GIB, 20_000 * GIB),
      },
      { ...shared, id: "ceph", type: "rbd", content: disks, nodes: everywhere(200_000 * GIB, 20_000 * GIB) },
    ],
    guests: Array.from({ length: guests }, (_, index) => {
      const node = names[index % names.length] ?? "pve1";
      return (index % 4 === 3 ? container : vm)(100 + index, node, Math.floor(index / 4) * 4 + (index % 4));
    }),
  };
}
