import type { Call } from "../../call.js";
import { deny } from "../../fault.js";
import { splitList } from "../../table/check.js";

/** Tags as PVE keeps them: lower case unless the datacenter says otherwise, once each, sorted. */
export function cleanTags(call: Call, text: string): string {
  const style = call.state.cluster.options["tag-style"] ?? "";
  const sensitive = /(^|,)case-sensitive=(1|yes|on|true)/.test(style);
  const ordered = /(^|,)ordering=config/.test(style);
  const tags = [...new Set(splitList(text).map((tag) => (sensitive ? tag : tag.toLowerCase())))];
  return (ordered ? tags : tags.sort()).join(";");
}

/** Only tags that come or go are tested: registered ones need Sys.Modify, others what `user-tag-access` allows. */
export function checkTags(call: Call, before: string | undefined, after: string, path: string): void {
  if (!call.holds(path, ["VM.Config.Options"])) call.require(path, ["VM.Config.Options"]);
  if (call.holds("/", ["Sys.Modify"])) return;
  const old = new Set(splitList(before ?? ""));
  const next = new Set(splitList(cleanTags(call, after)));
  const changed = [...[...next].filter((tag) => !old.has(tag)), ...[...old].filter((tag) => !next.has(tag))];
  const { options } = call.state.cluster;
  const registered = new Set(splitList(options["registered-tags"] ?? ""));
  const access = /(^|,)user-allow=([a-z]+)/.exec(options["user-tag-access"] ?? "")?.[2] ?? "free";
  const allowed = new Set(splitList(/user-allow-list=([^,]+)/.exec(options["user-tag-access"] ?? "")?.[1] ?? ""));
  for (const guest of Object.values(call.state.guests))
    if (access === "existing" && call.holds(`/vms/${guest.vmid}`, ["VM.Audit"]))
      for (const tag of splitList(guest.config["tags"] ?? "")) allowed.add(tag);
  for (const tag of changed)
    if (registered.has(tag) || access === "none" || (access !== "free" && !allowed.has(tag)))
      deny(`/, Sys.Modify for modifying tag '${tag}'`);
}
