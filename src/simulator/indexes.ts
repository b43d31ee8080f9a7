import type { Handlers } from "./call.js";
import { CALL_SHAPES, type CallShape, type Properties, type Property, type Rule } from "./table/table.js";

/** Paths that only list what is below them: the words in PVE's order, and the key that holds them. */
const INDEXES: Readonly<Record<string, readonly [string, string]>> = {
  "/": ["subdir", "version cluster nodes storage access pools"],
  "/access": ["subdir", "users groups roles acl domains openid tfa ticket password"],
  "/cluster": [
    "name",
    "acme backup backup-info bulk-action ceph config firewall ha jobs log mapping metrics notifications nextid options qemu replication resources status tasks sdn",
  ],
  "/cluster/ha": ["id", "status resources groups rules"],
  "/cluster/ha/status": ["name", "current manager_status disarm-ha arm-ha"],
  "/cluster/mapping": ["name", "dir pci usb"],
  "/cluster/bulk-action": ["name", "guest"],
  "/cluster/bulk-action/guest": ["name", "start shutdown migrate suspend"],
  "/cluster/config": ["name", "nodes totem join qdevice apiversion"],
  "/cluster/backup-info": ["subdir", "not-backed-up"],
  "/cluster/firewall": ["name", "aliases rules options groups ipset macros refs"],
  "/cluster/jobs": ["subdir", "schedule-analyze realm-sync"],
  "/cluster/metrics": ["name", "server export"],
  "/cluster/notifications": ["name", "endpoints matchers targets matcher-fields matcher-field-values"],
  "/nodes/{node}": [
    "name",
    "aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal lxc migrateall netstat network qemu query-oci-repo-tags query-url-metadata replication report rrd rrddata scan sdn services spiceshell startall status stopall storage subscription suspendall syslog tasks termproxy time version vncshell vzdump wakeonlan",
  ],
  "/nodes/{node}/apt": ["id", "changelog repositories update versions"],
  "/nodes/{node}/capabilities": ["name", "qemu"],
  "/nodes/{node}/capabilities/qemu": ["name", "cpu cpu-flags machines migration"],
  "/nodes/{node}/certificates": ["name", "acme custom info"],
  "/nodes/{node}/disks": ["name", "list initgpt smart lvm lvmthin directory wipedisk zfs"],
  "/nodes/{node}/firewall": ["name", "rules options log"],
  "/nodes/{node}/hardware": ["type", "pci usb"],
  "/nodes/{node}/scan": ["method", "cifs iscsi lvm nfs pbs zfs"],
  "/nodes/{node}/services/{service}": ["subdir", "state start stop restart reload"],
};

const rows = ([key, words]: readonly [string, string]) => words.split(" ").map((word) => ({ [key]: word }));

/** What is empty on a cluster that uses none of it. */
const EMPTY = [
  "/cluster/config/nodes",
  "/cluster/firewall/aliases",
  "/cluster/firewall/groups",
  "/cluster/firewall/ipset",
  "/cluster/firewall/refs",
  "/cluster/firewall/rules",
  "/cluster/metrics/server",
  "/cluster/replication",
  "/cluster/sdn/controllers",
  "/cluster/sdn/vnets",
  "/cluster/sdn/zones",
  "/nodes/{node}/replication",
];
const NO_DIGEST = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

export const indexCalls: Handlers = {
  ...Object.fromEntries(Object.entries(INDEXES).map(([path, index]) => [`GET ${path}`, () => rows(index)])),
  ...Object.fromEntries(EMPTY.map((path) => [`GET ${path}`, () => []])),
  "GET /cluster/firewall/options": () => ({ digest: NO_DIGEST }),
};

const text: Property = { type: "string" };
const NODE: Property = { type: "string", format: "pve-node" };
const SERVICE: Property = {
  type: "string",
  enum: "chrony corosync cron ksmtuned lxcfs postfix proxmox-firewall pve-cluster pve-firewall pve-ha-crm pve-ha-lrm pve-lxc-syscalld pvedaemon pvefw-logger pveproxy pvescheduler pvestatd qmeventd spiceproxy sshd syslog systemd-journald systemd-timesyncd".split(
    " ",
  ),
};
const AUDIT: Rule = ["perm", "/", ["Sys.Audit"]];
const onNode = (...names: string[]): Rule => ["perm", "/nodes/{node}", names];
const opt = (property: Property): Property => ({ ...property, optional: true });

/** A call's shape by its key; the variables of its path are filled in. */
function shape(key: string, allow: Rule, params: Properties = {}): [string, CallShape] {
  const variables: Record<string, Property> = {};
  if (key.includes("{node}")) variables["node"] = NODE;
  if (key.includes("{service}")) variables["service"] = SERVICE;
  return [key, { allow, ...(key.includes("{node}") && { node: true }), params: { ...variables, ...params } }];
}

const RULES: Record<string, Properties> = {
  "node-affinity": {
    resources: { type: "string", format: "pve-ha-resource-id-list" },
    nodes: { type: "string", format: "pve-ha-node-list" },
    strict: opt({ type: "boolean" }),
  },
  "resource-affinity": {
    resources: { type: "string", format: "pve-ha-resource-id-list" },
    affinity: { type: "string", enum: ["positive", "negative"] },
  },
};
const optional = (of: Properties): Properties =>
  Object.fromEntries(Object.entries(of).map(([key, property]) => [key, opt(property)]));
const RULE_PARAMS: Properties = {
  rule: { type: "string", format: "pve-configid" },
  type: { type: "string", enum: Object.keys(RULES) },
  comment: opt({ type: "string", maxLength: 4096 }),
  disable: opt({ type: "boolean" }),
};
const HA_WRITE: Rule = ["perm", "/", ["Sys.Console"]];

/** Shapes of calls that PVE's published table leaves out, or shows without their parameters. */
const MORE: readonly [string, CallShape][] = [
  ["POST /cluster/ha/rules", { allow: HA_WRITE, params: RULE_PARAMS, variants: { by: "type", of: RULES } }],
  [
    "PUT /cluster/ha/rules/{rule}",
    {
      allow: HA_WRITE,
      params: {
        ...RULE_PARAMS,
        delete: opt({ type: "string", format: "pve-configid-list" }),
        digest: opt({ type: "string", maxLength: 64 }),
      },
      variants: {
        by: "type",
        of: Object.fromEntries(Object.entries(RULES).map(([type, params]) => [type, optional(params)])),
      },
    },
  ],
  shape("GET /cluster/config", AUDIT),
  shape("GET /cluster/config/nodes", AUDIT),
  shape("GET /cluster/firewall/aliases", AUDIT),
  shape("GET /cluster/firewall/groups", "all"),
  shape("GET /cluster/firewall/ipset", AUDIT),
  shape("GET /cluster/firewall/options", AUDIT),
  shape("GET /cluster/firewall/refs", AUDIT),
  shape("GET /cluster/firewall/rules", AUDIT),
  shape("GET /cluster/jobs/schedule-analyze", "all", {
    schedule: { type: "string", format: "pve-calendar-event", maxLength: 128 },
    starttime: opt({ type: "integer" }),
    iterations: opt({ type: "integer", min: 1, max: 100 }),
  }),
  shape("GET /cluster/metrics/server", AUDIT),
  shape("GET /cluster/replication", "all"),
  shape("GET /cluster/sdn/controllers", "all"),
  shape("GET /cluster/sdn/vnets", "all"),
  shape("GET /cluster/sdn/zones", "all"),
  shape("GET /nodes/{node}/apt/versions", onNode("Sys.Audit")),
  shape("GET /nodes/{node}/certificates/info", "all"),
  shape("GET /nodes/{node}/disks/list", ["or", AUDIT, ["perm", "/nodes", ["Sys.Audit"]]]),
  shape("GET /nodes/{node}/hardware/pci", onNode("Sys.Audit")),
  shape("GET /nodes/{node}/hardware/usb", ["perm", "/", ["Sys.Modify"]]),
  shape("GET /nodes/{node}/hosts", onNode("Sys.Audit")),
  shape("GET /nodes/{node}/netstat", onNode("Sys.Audit")),
  shape("GET /nodes/{node}/replication", "all"),
  shape("GET /nodes/{node}/report", onNode("Sys.Audit")),
  ...["cifs", "iscsi", "lvm", "nfs", "pbs", "zfs"].map((method) =>
    shape(`GET /nodes/{node}/scan/${method}`, ["perm", "/storage", ["Datastore.Allocate"]], scanParams(method)),
  ),
  shape("GET /nodes/{node}/services/{service}", onNode("Sys.Audit")),
  shape("GET /nodes/{node}/services/{service}/state", onNode("Sys.Audit")),
  ...["start", "stop", "restart", "reload"].map((verb) =>
    shape(`POST /nodes/{node}/services/{service}/${verb}`, onNode("Sys.Modify")),
  ),
  shape("GET /nodes/{node}/subscription", "all"),
  shape("POST /nodes/{node}/termproxy", onNode("Sys.Console")),
  shape("POST /nodes/{node}/vncshell", onNode("Sys.Console")),
  ["POST /nodes/{node}/wakeonlan", { allow: onNode("Sys.PowerMgmt"), params: { node: NODE } }],
];

function scanParams(method: string): Properties {
  if (method === "iscsi") return { portal: text };
  if (method === "nfs" || method === "cifs") return { server: { type: "string", format: "pve-storage-server" } };
  if (method === "pbs")
    return { server: { type: "string", format: "pve-storage-server" }, username: text, password: text };
  return {};
}

/** What the table leaves out, by `METHOD /path`; an index that is not listed above is for everyone. */
export const MORE_SHAPES: ReadonlyMap<string, CallShape> = new Map([
  ...Object.keys(INDEXES)
    .map((path) => `GET ${path}`)
    .filter((key) => !CALL_SHAPES.has(key))
    .map((key) => shape(key, "all")),
  ...MORE,
]);
