import { isRoot } from "../auth/login.js";
import type { Call } from "../call.js";
import { refuse } from "../fault.js";
import type { Document } from "../state/model.js";
import { partsOf } from "../table/check.js";

const ROOT_ONLY = ["tmpdir", "dumpdir", "script", "job-id"];
const OF_THE_NODE = ["bwlimit", "ionice", "performance"];
const VARIABLES = new Set(["cluster", "guestname", "node", "vmid"]);

/** Where the backups go. */
export const backupTarget = (call: Call): string => call.text("storage") ?? "local";

/** PVE's `assert_param_permission_common`: options that only root@pam itself, or who may change the node, may set. */
export function checkOptionRights(call: Call): void {
  if (isRoot(call.login)) return;
  for (const key of ROOT_ONLY) if (call.has(key)) refuse({ [key]: "Only root may set this option." });
  if (OF_THE_NODE.some((key) => call.has(key))) call.require("/", ["Sys.Modify"]);
  const fleecing = call.text("fleecing");
  const storage = fleecing === undefined ? undefined : partsOf(fleecing, "backup-fleecing")["storage"];
  if (storage !== undefined) call.require(`/storage/${storage}`, ["Datastore.AllocateSpace"]);
}

/** PVE's `verify_vzdump_parameters`: the options that don't go together. @returns the complaint, by option */
export function selectionFault(options: Document, stop = false): Record<string, string> | undefined {
  const has = (key: string): boolean => !["", "0", undefined].includes(options[key] as string | undefined);
  if (has("vmid"))
    for (const key of ["all", "exclude", "pool"]) if (has(key)) return { [key]: "option conflicts with option 'vmid'" };
  const notes = notesFault(options["notes-template"]);
  if (notes !== undefined) return { "notes-template": notes };
  const chosen = has("vmid") || has("all") || has("pool") || has("exclude") || stop;
  return chosen ? undefined : { vmid: "property is missing" };
}

function notesFault(template: Document[string] | undefined): string | undefined {
  if (typeof template !== "string") return undefined;
  for (const found of template.matchAll(/\{\{([^}]*)\}\}|\\(.)/g)) {
    const [, variable, escaped] = found;
    if (variable !== undefined && !VARIABLES.has(variable))
      return `found unknown: variable '${variable}' at char ${found.index + 4}\n`;
    if (escaped !== undefined && escaped !== "n" && escaped !== "\\")
      return `found unknown: escape '\\${escaped}' at char ${found.index + 2}\n`;
  }
  return undefined;
}
