import type { DesiredGuest, FieldValue } from "../desired/types.js";
import type { Condition } from "../model/condition.js";
import type { Kind, Ref } from "../model/ref.js";

/** What a change of one field does to the guest as it is now. */
export type Effect = "live" | "restart" | "stop" | "replace";

export interface FieldDiff {
  /** As in the manifest without `spec.`: `cpu.cores`, `disks.scsi0.size`. */
  readonly path: string;
  /** undefined: not set, PVE's default counts. */
  readonly from?: FieldValue;
  /** undefined: goes back to PVE's default (or the device goes). */
  readonly to?: FieldValue;
  readonly effect: Effect;
}

export type Action = "create" | "update" | "replace" | "delete" | "adopt" | "keep" | "blocked";

/** Something that people want to be asked about, named for the prompt. */
export interface Disruption {
  readonly kind: "delete" | "replace" | "restart" | "stop" | "detach";
  readonly text: string;
  /** The manifest allows it (`lifecycle.restart: allow`): it is told, and not asked about. */
  readonly isAllowed?: boolean;
}

/** Which guest a step works on, and how it is known to be the right one. */
export interface StepTarget {
  readonly kind: Kind;
  readonly vmid: number;
  readonly node: string;
  /** A uuid: the smbios1 uuid or the marker the guest carries or is given. */
  readonly identity: string;
}

/** One request (or one small group) to PVE, in the manifests' words; src/pve turns it into parameters. */
export type Step = { readonly target: StepTarget } & (
  | {
      readonly op: "create";
      readonly fields: Readonly<Record<string, FieldValue>>;
      /** The OS template's volume id of a container. */
      readonly template?: string;
    }
  | {
      readonly op: "clone";
      readonly source: { readonly vmid: number; readonly node: string; readonly name: string };
      readonly full?: boolean;
      readonly storage?: string;
      readonly name: string;
    }
  | { readonly op: "configure"; readonly changes: readonly FieldDiff[] }
  | { readonly op: "resize"; readonly disk: string; readonly size: number }
  | { readonly op: "start" }
  /** Asks the guest; `timeout` in seconds, `force` pulls the plug after it. */
  | { readonly op: "shutdown"; readonly timeout?: number; readonly force?: boolean }
  | { readonly op: "stop" }
  | { readonly op: "reboot"; readonly timeout?: number }
  | { readonly op: "migrate"; readonly to: string; readonly online: boolean }
  | { readonly op: "destroy" }
);

/** What is planned for one object. */
export interface Change {
  readonly action: Action;
  readonly ref: Ref;
  readonly vmid?: number;
  readonly node?: string;
  readonly identity?: string;
  readonly fields: readonly FieldDiff[];
  /** Power before and after, where it changes. */
  readonly power?: { readonly from: string; readonly to: string };
  readonly disruptions: readonly Disruption[];
  readonly steps: readonly Step[];
  /** Keys (refKey) of changes that must be done first. */
  readonly after: readonly string[];
  /** What it was planned against: the config's digest and status; checked again before the first write. */
  readonly fingerprint: string;
  /** Why it is blocked; or a remark. */
  readonly reason?: string;
  readonly remedy?: string;
  readonly notes: readonly string[];
  readonly desired?: DesiredGuest;
}

export interface PlanSummary {
  readonly create: number;
  readonly update: number;
  readonly replace: number;
  readonly delete: number;
  readonly adopt: number;
  readonly blocked: number;
  readonly unchanged: number;
  readonly restarts: number;
}

/** All changes, in an order that respects `after`, otherwise by ref. */
export interface Plan {
  readonly changes: readonly Change[];
  readonly summary: PlanSummary;
  readonly warnings: readonly string[];
}

/** What the database knows of an object that Proxmoor made or adopted. */
export interface Resource {
  readonly ref: Ref;
  readonly vmid: number;
  readonly node: string;
  readonly identity: string;
  /** `creating` until the first creation has run to its end; then `ready`; `deleting` while it is being removed. */
  readonly phase: "creating" | "ready" | "deleting";
  /** The fields last applied in full: the base of the three-way merge. */
  readonly lastApplied: Readonly<Record<string, FieldValue>>;
  readonly labels: Readonly<Record<string, string>>;
  /** The manifest file it was declared in; pruning looks at the sources it has read only. */
  readonly source: string;
  readonly prune: "keep" | "delete";
  /** Counts changes of the desired state. */
  readonly generation: number;
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
}

/** The inventory as the planner needs it. */
export interface Inventory {
  readonly resources: readonly Resource[];
  /** vmids that must not be given out: reserved by a run, or freed within the quarantine. */
  readonly unavailableVmids: ReadonlySet<number>;
}

export interface PlanPolicy {
  /** Which sources (Resource.source) were read whole: their guests that nothing declares any more go; undefined: none. */
  readonly prunes?: ((source: string) => boolean) | undefined;
  /** Take over existing guests of the same name without being told by an annotation. */
  readonly adopt: boolean;
  /** Refs (refKey) whose replacement was consented to. */
  readonly allowReplace: ReadonlySet<string>;
  /** vmids are given out from this range, both ends included. */
  readonly vmidRange: { readonly first: number; readonly last: number };
  /** False where the log-in is surely not root@pam by password; undefined where nobody knows. */
  readonly isRoot?: boolean;
  /** How guests are asked to shut down; PVE's 60 s and no force where left out. */
  readonly shutdown?: { readonly timeout: number; readonly force: boolean };
  /** Deletions allowed in one plan, see --max-deletes. */
  readonly maxDeletes: number;
  /** Gives a fresh uuid for a guest to be made: randomness is a parameter. */
  readonly newIdentity: (ref: Ref) => string;
  /** Whether two texts of one PVE key mean the same to PVE (order of options, 1/yes …): wire format is src/pve's. */
  readonly sameRaw: (kind: Kind, key: string, a: string, b: string) => boolean;
}
