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
function partsShown(parts: Parts, shape: Properties): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(parts).map(([key, value]) => [key, shape[key]?.type === "boolean" ? Number(value) : value]),
  );
}

function allowedTags(call: Call): string[] {
  const tags = new Set<string>();
  for (const guest of Object.values(call.state.guests))
    if (call.holds(`/vms/${guest.vmid}`, ["VM.Audit"]))
      for (const tag of splitList(guest.config["tags"] ?? "")) tags.add(tag);
  for (const tag of splitList(call.state.cluster.options["registered-tags"] ?? "")) tags.add(tag);
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
