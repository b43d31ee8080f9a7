import type { Kind, Ref } from "../model/ref.js";

/** A value of one field in the form every module shares: bytes for quantities, lists of text where order matters. */
export type FieldValue = string | number | boolean | readonly string[];

/**
 * A spec as flat fields, the form in which planning and codecs work: `cpu.cores` → 2, `memory` → bytes,
 * `disks.scsi0.storage` → "local-lvm", `disks.scsi0.size` → bytes, `networks.net0.vlan` → 10,
 * `cloudInit.addresses.net0.ipv4` → "dhcp", `tags` → ["a","b"] (lower case, sorted), `extraConfig.audio0` → "device=…".
 * Only what was declared is there.
 */
export type Fields = Readonly<Record<string, FieldValue>>;

/** Where a declaration stands: file as given on the command line (`-` is standard input), 1-based line and column. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type Power = "running" | "stopped" | "unmanaged";

/** How a guest is first made; used once. */
export interface From {
  /** A VM template by name or vmid; of a container the volume id of its OS template. */
  readonly template: string;
  /** Full copy (true) or linked clone (false); undefined: PVE's default, linked for a template. */
  readonly full?: boolean;
  /** The storage of a full copy. */
  readonly storage?: string;
}

export interface Lifecycle {
  /** `ask`: apply asks, the controller leaves it pending; `allow`: both restart; `never`: both leave it pending. */
  readonly restart: "never" | "ask" | "allow";
  /** What happens to the guest when its manifest is gone and pruning is on. */
  readonly prune: "keep" | "delete";
  /** Field paths (`spec.memory`, `spec.disks.scsi0`) that are never compared. */
  readonly ignoreChanges: readonly string[];
  /** What the controller does about drift. */
  readonly drift: "enforce" | "report" | "ignore";
}

/** One guest that should exist, validated, defaults of Proxmoor (not of PVE) filled in. */
export interface DesiredGuest {
  readonly ref: Ref;
  readonly place: Place;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly node: string;
  readonly vmid?: number;
  /** undefined: started once, when made; later left alone. */
  readonly power?: Power;
  readonly from?: From;
  readonly fields: Fields;
  readonly lifecycle: Lifecycle;
  readonly dependsOn: readonly Ref[];
  /** The annotation `proxmoor.dev/adopt: "true"`. */
  readonly adopt: boolean;
  /** The spec as written (quantities and order as in the file, no secrets), for people. */
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Everything the manifests declare, ordered by ref. */
export interface DesiredState {
  readonly guests: readonly DesiredGuest[];
}

/** The PVE name of a guest: a VM's `name`, a container's `hostname`. */
export const NAME_FIELD: Record<Kind, string> = { VirtualMachine: "name", Container: "hostname" };
