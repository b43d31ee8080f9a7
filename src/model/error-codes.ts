/**
 * The registry of error codes: one line each, the heading of its section in docs/errors.md.
 * A test keeps both in step.
 */
export const ERROR_CODES = {
  // manifests
  MANIFEST_UNREADABLE: "A manifest file or folder could not be read",
  MANIFEST_SYNTAX: "A manifest is not valid YAML or JSON",
  MANIFEST_INVALID: "A manifest does not fit the schema",
  MANIFEST_DUPLICATE: "Two manifests declare the same name or vmid",
  MANIFEST_EMPTY: "No manifest was found",
  // settings
  CONFIG_MISSING: "A setting that is needed is missing",
  CONFIG_INVALID: "A setting has a value that can't be used",
  CONFIG_CONFLICT: "Two settings contradict each other",
  // command line
  USAGE: "The command line is not understood",
  // PVE on the wire
  PVE_UNREACHABLE: "PVE could not be reached",
  PVE_TLS: "PVE's certificate is not trusted",
  PVE_AUTH: "PVE refused the log-in",
  PVE_PERMISSION: "The log-in lacks a privilege in PVE",
  PVE_NOT_FOUND: "PVE has no such guest, storage, node or path",
  PVE_PARAMETER: "PVE refused a parameter",
  PVE_LOCKED: "PVE's lock on a guest or storage is held by something else",
  PVE_DIGEST: "The guest's configuration changed since it was read",
  PVE_NODE_OFFLINE: "A node of the cluster does not answer",
  PVE_ERROR: "PVE answered with an error",
  PVE_NO_ANSWER: "A request went out and no answer came: it may or may not have been done",
  PVE_ANSWER: "PVE's answer has an unexpected form",
  PVE_TASK_FAILED: "A PVE task ended with an error",
  PVE_TASK_LOST: "A PVE task can no longer be found",
  // planning and applying
  PLAN_BLOCKED: "A change can't be made as things are",
  PLAN_GUARD: "A guard stopped the plan",
  APPLY_DECLINED: "Nothing was changed: the disruptions were not confirmed",
  APPLY_STALE: "A guest is no longer what the plan was made against",
  APPLY_IDENTITY: "Another guest has the vmid of a managed one",
  APPLY_INTERRUPTED: "The run was interrupted",
  APPLY_BUSY: "Another run works on the same guest",
  // database
  DB_CONFIG: "The database settings can't be used",
  DB_UNREACHABLE: "The database could not be reached",
  DB_AUTH: "The database refused the log-in",
  DB_NEWER: "The database was written by a newer version",
  DB_LOCKED: "The database is locked by another process",
  DB_CORRUPT: "The database file is damaged",
  DB_READ_ONLY: "The database can't be written",
  DB_FULL: "The database's disk is full",
  DB_NOT_FOUND: "A row that is needed is not in the database",
  DB_DUPLICATE: "A row with this key exists already",
  DB_FOREIGN_KEY: "A row refers to one that does not exist",
  DB_CONFLICT: "Somebody else changed the row in between",
  DB_FENCED: "Another holder has the lease that a write needs",
  DB_MIGRATION: "A migration failed",
  DB_BACKUP: "A backup could not be made or used",
  DB_DAMAGED: "The database contradicts itself",
  DB_NOT_EMPTY: "The database holds data already",
  DB_DECLINED: "Nothing was changed: the question was not confirmed",
  DB_ERROR: "The database answered with an error",
  // everything else
  NOT_FOUND: "There is no such object",
  HISTORY_MISSING: "History does not reach back to that time",
  SERVER_LISTEN: "A server could not listen on its address",
  STATE_FILE: "The simulator's state file can't be used",
  INTERNAL: "A fault in Proxmoor itself",
} as const;
