import {
  DISK_SLOTS,
  MiB,
  NET_SLOTS,
  choice,
  decimal,
  fields,
  flag,
  integer,
  list,
  quantity,
  slots,
  text,
} from "./build.js";
import { kindSchema, shared } from "./common.js";

// Bounds and words: parameters of POST /nodes/{node}/qemu in PVE 9.2's API schema.

const from = fields(
  "How the VM is first made; used once.",
  {
    template: {
      ...text("A VM template, by name or by vmid.", "template"),
      type: ["string", "integer"],
      minimum: 100,
    },
    full: flag("A full copy (true) or a linked clone (false). Left out: linked, PVE's default for a template."),
    storage: text("The storage of a full copy; needs `full: true`.", "storage"),
  },
  ["template"],
);

const cpu = fields("The processor.", {
  type: text("The CPU type the guest sees.", "cpu-type"),
  sockets: integer("Sockets.", { minimum: 1 }),
  cores: integer("Cores per socket.", { minimum: 1 }),
  limit: decimal("CPU time in cores; 0 means no limit.", { minimum: 0, maximum: 128 }),
  units: integer("Weight of CPU time against other guests.", { minimum: 1, maximum: 262144 }),
});

const disk = fields("A disk.", {
  storage: text("The storage it is on.", "storage"),
  size: quantity("Its size; it can grow, never shrink.", MiB, "Gi"),
  format: choice("The file format, on storages that keep files.", ["raw", "qcow2", "vmdk"]),
  cache: choice("The cache mode.", ["none", "writethrough", "writeback", "unsafe", "directsync"]),
  aio: choice("How the node reads and writes it.", ["native", "threads", "io_uring"]),
  discard: flag("Pass the guest's discards on, so that thin storages shrink."),
  ssd: flag("Shown to the guest as an SSD; not on virtio."),
  iothread: flag("A thread of its own; on scsi and virtio."),
  backup: flag("Part of backups."),
  replicate: flag("Part of replication."),
  readOnly: flag("Read only; on scsi and virtio."),
  serial: text("The serial number the guest sees.", "serial"),
});

const NIC_MODELS = [
  "virtio",
  "e1000",
  "e1000-82540em",
  "e1000-82544gc",
  "e1000-82545em",
  "e1000e",
  "i82551",
  "i82557b",
  "i82559er",
  "ne2k_isa",
  "ne2k_pci",
  "pcnet",
  "rtl8139",
  "vmxnet3",
];

const network = fields("A network card.", {
  model: choice("The card the guest sees; left out: virtio.", NIC_MODELS),
  bridge: text("The bridge it is plugged into.", "bridge"),
  vlan: integer("The VLAN tag.", { minimum: 1, maximum: 4094 }),
  mac: text("The MAC address; left out: one that PVE makes up, and keeps.", "mac"),
  firewall: flag("PVE's firewall on this card."),
  rate: decimal("Limit in megabytes per second.", { minimum: 0 }),
  mtu: integer("The MTU; 1 takes the bridge's.", { minimum: 1, maximum: 65520 }),
  queues: integer("Packet queues.", { minimum: 0, maximum: 64 }),
  linkDown: flag("As if the cable were out."),
});

const address = fields("The addresses of one network card.", {
  ipv4: text("The IPv4 address.", "ipv4-config"),
  gateway: text("The IPv4 gateway; needs an address in `ipv4`.", "ipv4"),
  ipv6: text("The IPv6 address.", "ipv6-config"),
  gateway6: text("The IPv6 gateway; needs an address in `ipv6`.", "ipv6"),
});

const cloudInit = fields("What cloud-init sets up inside the guest.", {
  user: text("The user that is set up.", "line"),
  sshKeys: list("Public keys that may log in as the user.", text("A public key.", "ssh-key")),
  nameservers: list("DNS servers; left out: the node's.", text("An IP address.", "nameserver")),
  searchDomain: text("The DNS search domain; left out: the node's.", "search-domain"),
  upgrade: flag("Upgrade the packages at the first start."),
  storage: text("The storage of the cloud-init drive, for a VM whose template has none.", "storage"),
  addresses: slots("Addresses by network slot.", NET_SLOTS, address),
});

export const virtualMachine = kindSchema(
  "VirtualMachine",
  "A virtual machine (QEMU).",
  fields(
    "What the VM should be. What is left out keeps the value it has.",
    {
      node: shared.node,
      vmid: shared.vmid,
      power: shared.power,
      from,
      cpu,
      memory: quantity("Memory.", 16 * MiB),
      disks: slots("Disks by PVE's slot.", DISK_SLOTS, disk),
      networks: slots("Network cards by PVE's slot.", NET_SLOTS, network),
      cloudInit,
      tags: shared.tags,
      description: shared.description,
      onBoot: shared.onBoot,
      agent: flag("The QEMU guest agent runs in the guest."),
      extraConfig: shared.extraConfig,
      dependsOn: shared.dependsOn,
      lifecycle: shared.lifecycle,
    },
    ["node"],
  ),
);
