import type { Handlers } from "./call.js";
import type { CallShape, Properties } from "./table/table.js";

/** Paths that only list what is below them: the words in PVE's order, and the key that holds them. */
const INDEXES: Readonly<Record<string, readonly [string, string]>> = {
  "/": ["subdir", "version cluster nodes storage access pools"],
  "/access": ["subdir", "users groups roles acl domains openid tfa ticket password"],
  "/cluster": [
    "name",
    "acme backup backup-info bulk-action ceph config firewall ha jobs log mapping metrics notifications nextid options qemu replication resources status tasks sdn",
  ],
  "/cluster/ha": ["id", "status resources groups rules"],
  "/cluster/mapping": ["name", "dir pci usb"],
  "/cluster/bulk-action": ["name", "guest"],
  "/cluster/firewall": ["name", "aliases rules options groups ipset macros refs"],
  "/nodes/{node}": [
    "name",
    "aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal lxc migrateall netstat network qemu query-oci-repo-tags query-url-metadata replication report rrd rrddata scan sdn services spiceshell startall status stopall storage subscription suspendall syslog tasks termproxy time version vncshell vzdump wakeonlan",
  ],
  "/nodes/{node}/capabilities": ["name", "qemu"],
  "/cluster/config": ["name", "nodes totem join qdevice apiversion"],
  "/cluster/notifications": ["name", "endpoints matchers targets matcher-fields matcher-field-values"],
  "/nodes/{node}/disks": ["name", "list initgpt smart lvm lvmthin directory wipedisk zfs"],
  "/nodes/{node}/hardware": ["type", "pci usb"],
  "/nodes/{node}/certificates": ["name", "acme custom info"],
  "/nodes/{node}/apt": ["id", "changelog repositories update versions"],
  "/nodes/{node}/scan": ["method", "cifs iscsi lvm nfs pbs zfs"],
};

/** What is empty on a cluster that uses none of it. */
const EMPTY = [
  "/cluster/replication",
  "/cluster/metrics/server",
  "/cluster/firewall/groups",
  "/cluster/firewall/rules",
  "/cluster/config/nodes",
  "/cluster/sdn/zones",
  "/cluster/sdn/vnets",
];

const rows = ([key, words]: readonly [string, string]) => words.split(" ").map((word) => ({ [key]: word }));

const NO_DIGEST = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

export const indexCalls: Handlers = {
  ...Object.fromEntries(Object.entries(INDEXES).map(([path, index]) => [`GET ${path}`, () => rows(index)])),
  ...Object.fromEntries(EMPTY.map((path) => [`GET ${path}`, () => []])),
  "GET /cluster/firewall/options": () => ({ digest: NO_DIGEST }),
};

const NODE: Properties = { node: { type: "string", format: "pve-node" } };

/** Shapes of calls that PVE's published table leaves out. */
export const MORE_SHAPES: ReadonlyMap<string, CallShape> = new Map(
  Object.keys(indexCalls).map((key): [string, CallShape] => [
    key,
    { allow: "all", params: key.includes("{node}") ? NODE : {} },
  ]),
);
