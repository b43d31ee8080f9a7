import { MOUNT_SLOTS, MiB, NET_SLOTS, decimal, fields, flag, integer, list, quantity, slots, text } from "./build.js";
import { kindSchema, shared } from "./common.js";

// Bounds and words: parameters of POST /nodes/{node}/lxc in PVE 9.2's API schema.

const from = fields(
  "How the container is first made; used once.",
  { template: text("The OS template, a volume of a storage.", "volume-id") },
  ["template"],
);

const rootfs = fields("The root file system.", {
  storage: text("The storage it is on.", "storage"),
  size: quantity("Its size; it can grow, never shrink.", MiB, "Gi"),
  readOnly: flag("Read only."),
  replicate: flag("Part of replication."),
});

const mount = fields(
  "A mount point: a volume of a storage (`storage` and `size`) or something of the node (`source`).",
  {
    storage: text("The storage of the volume.", "storage"),
    size: quantity("The volume's size; it can grow, never shrink.", MiB, "Gi"),
    source: text("A folder of the node to mount instead of a volume.", "absolute-path"),
    path: text("Where it is mounted in the container.", "absolute-path"),
    backup: flag("Part of backups; for volumes."),
    readOnly: flag("Read only."),
    replicate: flag("Part of replication."),
  },
  ["path"],
);

const network = fields("A network interface.", {
  name: text("Its name in the container, such as eth0.", "interface"),
  bridge: text("The bridge it is plugged into.", "bridge"),
  vlan: integer("The VLAN tag.", { minimum: 1, maximum: 4094 }),
  mac: text("The MAC address; left out: one that PVE makes up, and keeps.", "mac"),
  firewall: flag("PVE's firewall on this interface."),
  rate: decimal("Limit in megabytes per second.", { minimum: 0 }),
  mtu: integer("The MTU.", { minimum: 64, maximum: 65535 }),
  linkDown: flag("As if the cable were out."),
  ipv4: text("The IPv4 address.", "ipv4-config"),
  gateway: text("The IPv4 gateway; needs an address in `ipv4`.", "ipv4"),
  ipv6: text("The IPv6 address.", "ipv6-config"),
  gateway6: text("The IPv6 gateway; needs an address in `ipv6`.", "ipv6"),
});

const features = fields("What the container may do beyond the usual.", {
  nesting: flag("Containers inside, and what systemd needs."),
  keyctl: flag("The keyctl() call, for Docker in an unprivileged container."),
  fuse: flag("FUSE file systems."),
  mknod: flag("Making device nodes."),
});

export const container = kindSchema(
  "Container",
  "A container (LXC).",
  fields(
    "What the container should be. What is left out keeps the value it has.",
    {
      node: shared.node,
      vmid: shared.vmid,
      hostname: text("The host name; left out: metadata.name.", "dns-name", { maxLength: 255 }),
      power: shared.power,
      from,
      cores: integer("CPU cores; left out: all of the node.", { minimum: 1, maximum: 8192 }),
      memory: quantity("Memory.", 16 * MiB),
      swap: quantity("Swap.", 0),
      rootfs,
      mounts: slots("Mount points by PVE's slot.", MOUNT_SLOTS, mount),
      networks: slots("Network interfaces by PVE's slot.", NET_SLOTS, network),
      features,
      unprivileged: flag("The container's root is not the node's. Set once, when it is made."),
      nameservers: list("DNS servers; left out: the node's.", text("An IP address.", "nameserver")),
      searchDomain: text("The DNS search domain; left out: the node's.", "search-domain"),
      tags: shared.tags,
      description: shared.description,
      onBoot: shared.onBoot,
      extraConfig: shared.extraConfig,
      dependsOn: shared.dependsOn,
      lifecycle: shared.lifecycle,
    },
    ["node"],
  ),
);
