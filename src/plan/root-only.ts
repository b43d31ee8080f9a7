import type { FieldDiff } from "./types.js";
import type { Hindrance } from "./draft.js";
import type { Fields } from "../desired/types.js";

/**
 * What PVE lets only root@pam with a password set on a container (BEHAVIOUR section 2, "Per config key, LXC"): features
 * but nesting, any feature of a privileged one, bind mounts. Tokens of root are refused too.
 */
export function rootOnly(diffs: readonly FieldDiff[], desired: Fields): Hindrance | undefined {
  const isPrivileged = desired["unprivileged"] === false;
  const found = diffs.find(
    ({ path, to }) =>
      (to !== undefined && /^mounts\.mp\d+\.source$/.test(path)) ||
      (/^features\./.test(path) && (isPrivileged || path !== "features.nesting") && to !== undefined && to !== false),
  );
  if (!found) return undefined;
  return {
    reason: `${found.path}${isPrivileged && found.path.startsWith("features.") ? " of a privileged container" : ""} can be set by root@pam with a password only, not by this log-in`,
    remedy: "Leave it out, set it in PVE yourself, or log in as root@pam (PROXMOX_VE_USERNAME, PROXMOX_VE_PASSWORD).",
  };
}
