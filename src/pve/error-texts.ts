import type { ErrorCode } from "../model/errors.js";

/** What an error of PVE is about; `what` says which thing is not there. */
export interface ErrorMeaning {
  readonly code: ErrorCode;
  readonly retry: "never" | "later";
  readonly what?: "guest" | "storage" | "node" | "path" | "volume";
  readonly remedy?: string;
}

interface Pattern extends ErrorMeaning {
  readonly status?: number;
  readonly text: RegExp;
}

const LATER = { retry: "later" } as const;
/** A lock is held by a task that ends, or was left by one that died. */
const LOCKED = {
  code: "PVE_LOCKED",
  ...LATER,
  remedy:
    "Look which task holds it (the guest's task history in PVE) and run again when it has ended; " +
    "a lock that a broken task left is removed with qm unlock or pct unlock on the node.",
} as const;
/** The guest was there a moment ago. */
const GONE = "It was deleted or moved to another node since it was looked at. Run again: the plan will be made anew.";
const NEVER = { retry: "never" } as const;

/**
 * The one place where PVE's words are matched. Each pattern names the recorded exchange (section/name in the
 * conformance set) or the section of BEHAVIOUR.md that it was seen in. The first that fits counts.
 */
const PATTERNS: readonly Pattern[] = [
  // errors/login.none, login.badtoken, login.ticket-without-csrf, ticket.wrong-password
  {
    status: 401,
    text: /./,
    code: "PVE_AUTH",
    ...NEVER,
    remedy: "Check the API token or the password, and that it has not expired.",
  },
  // BEHAVIOUR 2, LXC: `…(mount point type bind is only allowed for root@pam)`; calls without a permission declaration
  {
    status: 403,
    text: /only allowed for root@pam|user != root@pam/,
    code: "PVE_PERMISSION",
    ...NEVER,
    remedy: "PVE lets only root@pam do this, logged in with a password: no privilege and no token is enough.",
  },
  // permissions/read.limited.bad-parameter: `Permission check failed (/vms/100, VM.Config.Disk|…)`
  {
    status: 403,
    text: /./,
    code: "PVE_PERMISSION",
    ...NEVER,
    remedy: "Give the user or token the privilege on the path in brackets (Datacenter, Permissions).",
  },
  // BEHAVIOUR 2, vzdump: the same words as the end of a task
  { text: /^Permission check failed \(/, code: "PVE_PERMISSION", ...NEVER },
  // permissions/root-only.args.root: `only root can set 'args' config`, a 500
  {
    status: 500,
    text: /^only root can /,
    code: "PVE_PERMISSION",
    ...NEVER,
    remedy: "PVE lets only root@pam do this, logged in with a password: no privilege and no token is enough.",
  },
  // qemurun/idle.shutdown-timeout: a guest without ACPI or agent
  {
    text: /VM quit\/powerdown failed - got timeout/,
    code: "PVE_TASK_FAILED",
    ...LATER,
    remedy: "The guest did not shut down in time: give it longer (--shutdown-timeout) or pull its plug (--force-stop).",
  },
  // qemuconfig/digest.stale (VM), lxcconfig/digest.stale (container)
  { text: /checksum mismatch \(file change by other user\?\)/, code: "PVE_DIGEST", ...LATER },
  { text: /detected modified configuration - file changed by other user\?/, code: "PVE_DIGEST", ...LATER },
  // BEHAVIOUR 3: `VM is locked (backup)`, `CT is locked (snapshot)`
  { text: /\b(VM|CT) is locked( \(|$)/, ...LOCKED },
  // BEHAVIOUR 3: `can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout`, `can't acquire lock '…'`
  { text: /can't (lock file|acquire lock) '.*' - got timeout/, ...LOCKED },
  // BEHAVIOUR 3: `cfs-lock 'storage-S' error: got lock request timeout`, `'LOCK'-locked command timed out - aborting`
  { text: /cfs-lock '.*' error: got lock request timeout/, ...LOCKED },
  { text: /-locked command timed out - aborting/, ...LOCKED },
  // BEHAVIOUR 13: a node of the minority
  { text: /cluster not ready - no quorum\?|error: no quorum!/, code: "PVE_ERROR", ...LATER },
  // errors/unknown.qemu-config, unknown.lxc-config
  {
    text: /^Configuration file 'nodes\/.*\/(qemu-server|lxc)\/\d+\.conf' does not exist/,
    code: "PVE_NOT_FOUND",
    ...NEVER,
    what: "guest",
    remedy: GONE,
  },
  // errors/unknown.qemu-clone
  {
    text: /^unable to find configuration file for (VM|CT) \d+ on node/,
    code: "PVE_NOT_FOUND",
    ...NEVER,
    what: "guest",
    remedy: GONE,
  },
  // errors/unknown.storage-content; storage/status.unknown as a complaint about the parameter
  { text: /^storage '.*' does not exist/, code: "PVE_NOT_FOUND", ...NEVER, what: "storage" },
  { status: 400, text: /storage: No such storage\./, code: "PVE_NOT_FOUND", ...NEVER, what: "storage" },
  // qemudisk/add.volume-missing
  { text: /^volume '.*' does not exist/, code: "PVE_NOT_FOUND", ...NEVER, what: "volume" },
  // qemuclone/refuse.target
  { text: /^no such cluster node '/, code: "PVE_NOT_FOUND", ...NEVER, what: "node" },
  // errors/unknown.node-list; the name service may fail for a node that exists, so that this is no absence
  { text: /^hostname lookup '.*' failed/, code: "PVE_NODE_OFFLINE", ...LATER, what: "node" },
  // tasks/upid.status.unknown
  { status: 400, text: /upid: no such task/, code: "PVE_TASK_LOST", ...NEVER },
  // errors/path.unknown
  { status: 501, text: /^Method '.*' not implemented/, code: "PVE_NOT_FOUND", ...NEVER, what: "path" },
  // qemucreate/refused.several and every other refusal of parameters
  { status: 400, text: /./, code: "PVE_PARAMETER", ...NEVER },
  // BEHAVIOUR 15: 501 for data too large
  { status: 501, text: /^for data too large|^chunked transfer/, code: "PVE_PARAMETER", ...NEVER },
  // qemuconfig/put.nothing, delete.smbios and the like: refusals that PVE words as a 500
  { status: 500, text: /^no options specified/, code: "PVE_PARAMETER", ...NEVER },
  // BEHAVIOUR 8: the proxying node could not connect, so that the request was not taken
  {
    status: 595,
    text: /./,
    code: "PVE_NODE_OFFLINE",
    ...LATER,
    remedy: "Nothing was done. Check that the node is up and that the others reach it, then run again.",
  },
  // BEHAVIOUR 8: lvm `not enough free space (A < B)`; qemu-img on a full dir `No space left on device`
  {
    text: /not enough free space|No space left on device/,
    code: "PVE_ERROR",
    ...NEVER,
    remedy: "Make room on the storage or choose another one, then run again.",
  },
  // anything else that only took too long: qmp and storage timeouts
  { status: 500, text: /got timeout/, code: "PVE_ERROR", ...LATER },
];

/** What an answer of PVE means. `text` is PVE's message with its complaints about parameters (see pveText). */
export function meaningOf(status: number, text: string): ErrorMeaning {
  const found = PATTERNS.find(
    (pattern) => (pattern.status === undefined || pattern.status === status) && pattern.text.test(text || " "),
  );
  return found ?? { code: "PVE_ERROR", retry: status >= 502 ? "later" : "never" };
}

/** Answers of PVE's proxy after the request went on to the node: it may have been done (BEHAVIOUR 8). */
export function isAmbiguous(status: number): boolean {
  return status === 596 || status === 597 || status === 599 || (status >= 502 && status <= 504);
}

/** Answers after which a read is worth another try. */
export function isTransient(status: number, text: string): boolean {
  return status === 595 || isAmbiguous(status) || (status === 500 && /got (lock request )?timeout/.test(text));
}

/** A task log that PVE no longer has: 200 with this line [tasks/upid.log.unknown]. */
export function isLogGone(line: string): boolean {
  return line.startsWith("unable to open file - ");
}

/** The row that stands for an empty log [tasks/active.log]. */
export function isLogEmpty(line: string): boolean {
  return line === "no content";
}

/**
 * The progress that a log line gives, percent: `transferred 1.0 GiB of 8.0 GiB (12.50%)` of copies and mirrors,
 * `INFO:  12% (1.0 GiB of 8.0 GiB) in 6s` of backups (BEHAVIOUR 4, log lines).
 */
export function percentOf(line: string): number | undefined {
  const match = /transferred .* \((\d+(?:\.\d+)?)%\)/.exec(line) ?? /^INFO:\s+(\d+)% \(/.exec(line);
  return match ? Number(match[1]) : undefined;
}
