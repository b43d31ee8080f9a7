import type { Handlers } from "./call.js";
import type { CallShape } from "./table/table.js";

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
};

const rows = ([key, words]: readonly [string, string]) => words.split(" ").map((word) => ({ [key]: word }));

export const indexCalls: Handlers = Object.fromEntries(
  Object.entries(INDEXES).map(([path, index]) => [`GET ${path}`, () => rows(index)]),
);

/** Shapes of calls that PVE's published table leaves out. */
export const MORE_SHAPES: ReadonlyMap<string, CallShape> = new Map(
  Object.keys(INDEXES).map((path) => [
    `GET ${path}`,
    {
      allow: "all",
      params: path.includes("{node}") ? { node: { type: "string", format: "pve-node" } } : {},
    } satisfies CallShape,
  ]),
);
