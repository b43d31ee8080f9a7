import type { Kind } from "../../model/ref.js";
import { choice, fields, flag, integer, list, slots, text } from "./build.js";
import type { Schema } from "./build.js";

export const API_VERSION = "proxmoor.dev/v1";

/** The annotation that lets Proxmoor take over a guest it did not make. */
export const ADOPT = "proxmoor.dev/adopt";

const LABEL_KEY = "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$";

const annotations: Schema = {
  type: "object",
  description: "Notes for people and tools, and switches of Proxmoor.",
  properties: {
    [ADOPT]: choice("Take over a guest of this name that exists already and that Proxmoor did not make.", [
      "true",
      "false",
    ]),
  },
  // Proxmoor's own annotations are few and known: a slip in one must not be ignored
  patternProperties: { "^(?!proxmoor\\.dev/)": text("Any text.") },
  additionalProperties: false,
};

const metadata: Schema = fields(
  "What the object is called and marked with.",
  {
    name: text("Unique per kind; the guest's name in PVE.", "dns-name", { maxLength: 255 }),
    labels: slots(
      "Marks to choose objects by (`-l app=web`).",
      { what: "label", allowed: "letters, digits and _ . -, with a prefix before / if need be", pattern: LABEL_KEY },
      text("The label's value.", "label-value"),
    ),
    annotations,
  },
  ["name"],
);

const lifecycle: Schema = fields("How far Proxmoor may go with this guest.", {
  restart: choice(
    "When a change needs a restart: `never` leaves it pending, `ask` lets apply ask and the controller leave it pending, `allow` restarts.",
    ["never", "ask", "allow"],
    "ask",
  ),
  prune: choice(
    "What happens to the guest when its manifest is gone and pruning was asked for.",
    ["keep", "delete"],
    "delete",
  ),
  ignoreChanges: list(
    "Paths of fields that are set when the guest is made and never compared again.",
    text("A path such as `spec.memory` or `spec.disks.scsi0`.", "field-path"),
  ),
  drift: choice(
    "What the controller does when the guest differs from its manifest.",
    ["enforce", "report", "ignore"],
    "enforce",
  ),
});

const extraConfig: Schema = {
  type: "object",
  description:
    "PVE's own configuration keys, for what has no field here, such as `balloon: 1024`. The values go to PVE as they are; true and false as 1 and 0.",
  patternProperties: {
    "^[a-z][a-z0-9_-]*$": {
      type: ["string", "number", "boolean"],
      description: "The value as PVE writes it.",
    },
  },
  additionalProperties: false,
  keys: { what: "PVE key", allowed: "the keys of PVE's guest configuration, in lower case" },
};

/** Fields that both kinds have under the same name and with the same meaning. */
export const shared = {
  node: text("The node the guest runs on.", "node"),
  vmid: integer("PVE's number of the guest; left out: the next free one of Proxmoor's range.", {
    minimum: 100,
    maximum: 999999999,
  }),
  power: choice("Kept running or stopped; `unmanaged` leaves it alone. Left out: started once, when made.", [
    "running",
    "stopped",
    "unmanaged",
  ]),
  tags: list("Tags in PVE; lower-cased and sorted, as PVE stores them. `[]` means none.", text("A tag.", "tag")),
  description: text("Notes in PVE's web interface (Markdown).", undefined, { maxLength: 8192 }),
  onBoot: flag("Start with the node."),
  extraConfig,
  dependsOn: list("Guests that must be made and started before this one.", text("`vm/NAME` or `ct/NAME`.", "ref")),
  lifecycle,
} as const;

/** The whole schema of one kind. */
export function kindSchema(kind: Kind, description: string, spec: Schema): Schema {
  return {
    type: "object",
    description,
    properties: {
      $schema: { type: "string", description: "The address of the schema, for editors; nothing else reads it." },
      apiVersion: { type: "string", const: API_VERSION, description: "The version of this format." },
      kind: { type: "string", const: kind, description },
      metadata,
      spec,
    },
    required: ["apiVersion", "kind", "metadata", "spec"],
    additionalProperties: false,
  };
}
