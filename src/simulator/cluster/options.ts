import type { Call, Handlers } from "../call.js";
import { CALL_SHAPES, propertyString, type Properties } from "../table/table.js";
import { splitString, type Parts } from "../table/strings.js";
import { splitList } from "../table/check.js";

const SHAPE = CALL_SHAPES.get("PUT /cluster/options")?.params ?? {};
/** Property strings that GET answers taken apart. */
const AS_OBJECT = new Set([
  "migration",
  "ha",
  "crs",
  "next-id",
  "notify",
  "tag-style",
  "u2f",
  "user-tag-access",
  "webauthn",
  "location",
]);

/** GET /cluster/options: without Sys.Audit only what the web page needs. */
function get(call: Call): unknown {
  const { options } = call.state.cluster;
  const all = call.holds("/", ["Sys.Audit"]);
  const shown: Record<string, unknown> = { mac_prefix: "BC:24:11", description: "" };
  for (const [key, value] of Object.entries(options)) {
    if (!all && !["console", "tag-style"].includes(key)) continue;
    const shape = AS_OBJECT.has(key) ? propertyString(key) : undefined;
    if (key === "registered-tags") shown[key] = splitList(value);
    else if (key === "description") shown[key] = `${value.trimEnd()}\n`;
    else if (shape !== undefined) shown[key] = partsShown(splitString(value, shape), shape);
    else shown[key] = SHAPE[key]?.type === "integer" ? Number(value) : value;
  }
  if (!all) for (const key of ["mac_prefix", "description"]) delete shown[key];
  shown["allowed-tags"] = allowedTags(call);
  return shown;
}

/** Booleans of a property string are numbers in answers, numbers stay text. */
function partsShown(parts: Parts, shape: Properties): Record<string, unknown> {
  const shown = (key: string, value: string): unknown => {
    if (key === "user-allow-list") return value.split(";");
    return shape[key]?.type === "boolean" ? Number(value) : value;
  };
  return Object.fromEntries(Object.entries(parts).map(([key, value]) => [key, shown(key, value)]));
}

/** PVE's `get_allowed_tags`: registered ones are for who may change the datacenter, the others by its rule. */
function allowedTags(call: Call): string[] {
  const { options } = call.state.cluster;
  const privileged = call.holds("/", ["Sys.Modify"]);
  const registered = splitList(options["registered-tags"] ?? "");
  const access = splitString(options["user-tag-access"] ?? "", propertyString("user-tag-access") ?? {});
  const rule = access["user-allow"] ?? "free";
  const tags = new Set<string>();
  if (rule !== "none" || privileged) for (const tag of splitList(access["user-allow-list"] ?? "")) tags.add(tag);
  if (rule === "free" || rule === "existing" || privileged)
    for (const guest of Object.values(call.state.guests))
      if (privileged || call.holds(`/vms/${guest.vmid}`, ["VM.Audit"]))
        for (const tag of splitList(guest.config["tags"] ?? "")) tags.add(tag);
  for (const tag of registered) {
    if (privileged) tags.add(tag);
    else tags.delete(tag);
  }
  return [...tags].sort();
}

function put(call: Call): null {
  const { options } = call.state.cluster;
  const remove = call.list("delete");
  for (const key of remove) delete options[key];
  for (const key of Object.keys(call.params)) if (key !== "delete") options[key] = call.need(key);
  call.world.changed();
  return null;
}

export const optionCalls: Handlers = { "GET /cluster/options": get, "PUT /cluster/options": put };
