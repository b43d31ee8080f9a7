import type { Random } from "../random.js";
import type { State } from "../state/model.js";
import { addAcl, addGuest, addNode, addStorage, addUser, addVolume, bridge, emptyState, type Seeding } from "./base.js";

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const NODES = ["pve1", "pve2", "pve3"];
const TEMPLATE = "vztmpl/debian-12-standard_12.7-1_amd64.tar.zst";

export interface Made {
  readonly state: State;
  /** `user@realm!id=secret` */
  readonly token: string;
  readonly readOnlyToken: string;
  readonly rootPassword: string;
}

/** Users of every cluster but the recorded one: an administrator's token, one that may only read, root. */
export function addUsers(state: State, random: Random): Omit<Made, "state"> {
  const [main, reader] = [random.uuid(), random.uuid()];
  const rootPassword = `root-${random.hex(12)}`;
  addUser(state, { userid: "root@pam", password: rootPassword, tokens: {} });
  addUser(state, {
    userid: "proxmoor@pve",
    tokens: { main: { secret: main, privsep: false }, readonly: { secret: reader, privsep: true } },
  });
  addAcl(state, { path: "/", type: "user", ugid: "proxmoor@pve", roleid: "Administrator", propagate: true });
  addAcl(state, { path: "/", type: "token", ugid: "proxmoor@pve!readonly", roleid: "PVEAuditor", propagate: true });
  return { token: `proxmoor@pve!main=${main}`, readOnlyToken: `proxmoor@pve!readonly=${reader}`, rootPassword };
}

function addLocalStorages(state: State): void {
  addStorage(state, "local", "dir", { path: "/var/lib/vz", content: "iso,vztmpl,backup,snippets,import" });
  addStorage(state, "local-lvm", "lvmthin", { thinpool: "data", vgname: "pve", content: "images,rootdir" });
}

function addMachine(state: State, seeding: Seeding, index: number): void {
  const name = NODES[index] ?? "pve1";
  const network = [bridge("vmbr0", 3, `10.0.0.${index + 1}/24`), bridge("vmbr1", 4)];
  addNode(state, seeding, { name, id: index + 1, ip: `10.0.0.${index + 1}`, cpus: 8, memory: 32 * GIB, network });
  addVolume(state, seeding, name, {
    volid: `local:${TEMPLATE}`,
    content: "vztmpl",
    format: "tzst",
    size: 123 * MIB,
    holds: { ostype: "debian", arch: "amd64" },
  });
  const iso = { volid: "local:iso/debian-12.7.0-amd64-netinst.iso", content: "iso", format: "iso", size: 631 * MIB };
  addVolume(state, seeding, name, { ...iso, bootable: true });
}

/** One node with its storages, no guests. */
export function emptyProfile(seeding: Seeding, random: Random): Made {
  const state = emptyState(seeding);
  addLocalStorages(state);
  addMachine(state, seeding, 0);
  return { state, ...addUsers(state, random) };
}

/** Three nodes with a VM template, a container template and two guests that somebody else made. */
export function demoProfile(seeding: Seeding, random: Random): Made {
  const state = emptyState(seeding);
  state.cluster.name = "lab";
  addLocalStorages(state);
  addStorage(state, "nas", "nfs", {
    server: "10.0.0.10",
    export: "/export/pve",
    path: "/mnt/pve/nas",
    content: "images,rootdir,iso,vztmpl,backup,snippets",
  });
  for (const index of NODES.keys()) addMachine(state, seeding, index);
  addVolume(state, seeding, "pve1", {
    volid: "nas:iso/debian-12.7.0-amd64-netinst.iso",
    content: "iso",
    format: "iso",
    size: 631 * MIB,
    bootable: true,
  });
  addTemplate(state, seeding, random);
  addForeignGuests(state, seeding, random);
  return { state, ...addUsers(state, random) };
}

function addTemplate(state: State, seeding: Seeding, random: Random): void {
  const disk = { content: "images", format: "raw", vmid: 9000 };
  addVolume(state, seeding, "pve1", { ...disk, volid: "local-lvm:base-9000-disk-0", size: 4 * GIB, bootable: true });
  addVolume(state, seeding, "pve1", { ...disk, volid: "local-lvm:vm-9000-cloudinit", size: 4 * MIB });
  addGuest(state, seeding, {
    vmid: 9000,
    kind: "qemu",
    node: "pve1",
    config: {
      name: "debian-12",
      cores: "2",
      memory: "2048",
      ostype: "l26",
      scsihw: "virtio-scsi-single",
      scsi0: "local-lvm:base-9000-disk-0,size=4G",
      ide2: "local-lvm:vm-9000-cloudinit,media=cdrom",
      net0: `virtio=${random.mac("BC:24:11")},bridge=vmbr0`,
      boot: "order=scsi0;ide2;net0",
      agent: "1",
      serial0: "socket",
      template: "1",
      smbios1: `uuid=${random.uuid()}`,
      vmgenid: random.uuid(),
    },
  });
}

function addForeignGuests(state: State, seeding: Seeding, random: Random): void {
  const vm = {
    volid: "local-lvm:vm-100-disk-0",
    content: "images",
    format: "raw",
    size: 32 * GIB,
    vmid: 100,
    bootable: true,
  };
  addVolume(state, seeding, "pve1", vm);
  addGuest(state, seeding, {
    vmid: 100,
    kind: "qemu",
    node: "pve1",
    running: true,
    config: {
      name: "legacy-app",
      cores: "2",
      memory: "4096",
      ostype: "l26",
      onboot: "1",
      description: "Set up by hand",
      scsihw: "virtio-scsi-single",
      scsi0: "local-lvm:vm-100-disk-0,iothread=1,size=32G",
      net0: `virtio=${random.mac("BC:24:11")},bridge=vmbr0,firewall=1`,
      boot: "order=scsi0;net0",
      tags: "legacy",
      smbios1: `uuid=${random.uuid()}`,
      vmgenid: random.uuid(),
    },
  });
  const ct = { volid: "local-lvm:vm-101-disk-0", content: "rootdir", format: "raw", size: 8 * GIB, vmid: 101 };
  addVolume(state, seeding, "pve2", ct);
  addGuest(state, seeding, {
    vmid: 101,
    kind: "lxc",
    node: "pve2",
    running: true,
    config: {
      hostname: "legacy-dns",
      arch: "amd64",
      cores: "1",
      memory: "512",
      swap: "512",
      ostype: "debian",
      onboot: "1",
      rootfs: "local-lvm:vm-101-disk-0,size=8G",
      net0: `name=eth0,bridge=vmbr0,hwaddr=${random.mac("BC:24:11")},ip=dhcp,type=veth`,
      unprivileged: "1",
      tags: "legacy",
    },
  });
}
