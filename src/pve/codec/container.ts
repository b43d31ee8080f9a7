import { properties, single, slotted } from "./spec.js";
import type { KindSpec, OptionSpec } from "./spec.js";
import { bool, list, mac, mebibytes, number, tags, text } from "./values.js";

const MOUNT_OPTIONS: readonly OptionSpec[] = [
  { field: "readOnly", option: "ro", codec: bool },
  { field: "replicate", option: "replicate", codec: bool },
];

/** How a container's configuration stands in fields. */
export const CONTAINER_SPEC: KindSpec = {
  scalars: [
    { path: "hostname", key: "hostname", codec: text },
    { path: "cores", key: "cores", codec: number },
    // "unable to delete required option 'memory'" [lxcconfig/refuse.delete-memory]; deleted swap becomes 0, not 512
    { path: "memory", key: "memory", codec: mebibytes, unset: "512" },
    { path: "swap", key: "swap", codec: mebibytes, unset: "512" },
    { path: "onBoot", key: "onboot", codec: bool },
    { path: "tags", key: "tags", codec: tags },
    { path: "unprivileged", key: "unprivileged", codec: bool },
    { path: "nameservers", key: "nameserver", codec: list },
    { path: "searchDomain", key: "searchdomain", codec: text },
  ],
  groups: [
    {
      ...single("rootfs", "rootfs"),
      ...properties("volume"),
      options: MOUNT_OPTIONS,
      volume: "volume",
    },
    {
      ...slotted("mounts", /^mp([12]?\d?\d)$/),
      ...properties("volume"),
      options: [
        ...MOUNT_OPTIONS,
        { field: "path", option: "mp", codec: text },
        { field: "backup", option: "backup", codec: bool },
      ],
      volume: "volume",
    },
    {
      ...slotted("networks", /^net([12]?\d|3[01])$/),
      ...properties(),
      options: [
        { field: "name", option: "name", codec: text },
        { field: "bridge", option: "bridge", codec: text },
        { field: "vlan", option: "tag", codec: number },
        { field: "mac", option: "hwaddr", codec: mac },
        { field: "firewall", option: "firewall", codec: bool },
        { field: "rate", option: "rate", codec: number },
        { field: "mtu", option: "mtu", codec: number },
        { field: "linkDown", option: "link_down", codec: bool },
        { field: "ipv4", option: "ip", codec: text },
        { field: "gateway", option: "gw", codec: text },
        { field: "ipv6", option: "ip6", codec: text },
        { field: "gateway6", option: "gw6", codec: text },
      ],
      initial: (key) => ({ name: `eth${key.slice("net".length)}` }),
    },
    {
      ...single("features", "features"),
      ...properties(),
      options: ["nesting", "keyctl", "fuse", "mknod"].map((field) => ({ field, option: field, codec: bool })),
    },
  ],
};
