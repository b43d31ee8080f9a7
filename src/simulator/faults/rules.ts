export type FaultMethod = "GET" | "POST" | "PUT" | "DELETE";

/** What sets a rule off: requests (`{}` is every one), tasks, or time. */
export interface FaultMatch {
  readonly method?: FaultMethod | readonly FaultMethod[];
  /** Below `/api2/json`; `*` stands for one part or a piece of it, a last `**` for all that follows. */
  readonly path?: string;
  /** A task's type as PVE names it, `*` allowed: `qmstart`, `qm*`. */
  readonly task?: string;
  /** Milliseconds of the simulator's clock between two occasions. */
  readonly every?: number;
  /** Once, so many milliseconds from now. */
  readonly at?: number;
}

/** `edit`, `stop`, `delete`, `clone`, `migrate`, or `reuse`: delete a guest and make another one under its vmid. */
export type Deed = "edit" | "stop" | "delete" | "clone" | "migrate" | "reuse";

/** What happens; exactly one of these. All times are milliseconds of the simulator's clock. */
export type FaultEffect =
  /** The request (or task) takes longer, by `ms` and up to `jitter` more. */
  | { readonly latency: { readonly ms: number; readonly jitter?: number } }
  /** Another answer than the call's own: 5xx, 595, 596, 599; `taken`: PVE has done the work all the same. */
  | { readonly answer: { readonly status: number; readonly reason?: string; readonly taken?: boolean } }
  /** The connection ends: before the request is taken, after it and before the answer, in the answer's middle. */
  | { readonly close: "before" | "after" | "middle" }
  /** The connection is closed once it has been idle for so long after the answer; PVE's own is 5000. */
  | { readonly idle: number }
  /** `can't lock file … - got timeout` after PVE's ten seconds. */
  | { readonly lock: true }
  /** Answers gain fields that nobody knows, or lack some. */
  | { readonly fields: { readonly unknown?: boolean; readonly missing?: readonly string[] } }
  /** The task fails (`done`: after its work), hangs, ends with a warning, or is unknown to PVE once it has ended. */
  | {
      readonly task: {
        readonly how: "fail" | "hang" | "warn" | "vanish";
        readonly text?: string;
        readonly done?: boolean;
      };
    }
  /** The node answers nothing; without `for` it stays away. */
  | { readonly offline: { readonly node: string; readonly for?: number } }
  /** Nothing listens: connections are refused, open ones broken. */
  | { readonly down: { readonly for: number } }
  /** A storage that is full, or whose work takes so much longer. */
  | {
      readonly storage: {
        readonly id: string;
        readonly full?: boolean;
        readonly slow?: number;
        readonly for?: number;
      };
    }
  /** Takes privileges away from all users and tokens but root. */
  | { readonly permission: { readonly take: readonly string[]; readonly for?: number } }
  /** All tokens and tickets are refused with 401. */
  | { readonly expire: { readonly for?: number } }
  /** Somebody else works on the cluster: on the guest of the request, else on `vmid`, else on any guest. */
  | { readonly person: { readonly does: Deed | readonly Deed[]; readonly vmid?: number } }
  /** PVE's clock is off by so much from now on. */
  | { readonly skew: { readonly ms: number } };

/** One fault. Without `count` it goes on for ever. */
export interface FaultRule {
  /** For the request log. */
  readonly name?: string;
  readonly match: FaultMatch;
  /** Leaves the first so many matches alone. */
  readonly after?: number;
  /** Strikes at most so often. */
  readonly count?: number;
  /** Of each match, 0 to 1. */
  readonly probability?: number;
  readonly effect: FaultEffect;
}

/** What a match is about. */
export type Trigger = "request" | "task" | "time";

export function triggerOf({ task, every, at }: FaultMatch): Trigger {
  if (task !== undefined) return "task";
  return every !== undefined || at !== undefined ? "time" : "request";
}

/** The rule's name, or what it does. */
export function titleOf({ name, effect }: FaultRule): string {
  if (name !== undefined) return name;
  const [[kind, value] = ["", undefined]] = Object.entries(effect);
  return kind === "close" ? `close ${String(value)}` : kind;
}

/** A pattern with `*` as an expression; `*` does not cross a slash, a last `**` does. */
export function patternOf(text: string): RegExp {
  const parts = text.split(/(\*\*$|\*)/).map((part) => {
    if (part === "**") return ".*";
    return part === "*" ? "[^/]*" : part.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${parts.join("")}$`);
}
