import { createHash } from "node:crypto";
import type { Call, Handlers } from "../call.js";
import { fail } from "../fault.js";
import type { Document } from "../state/model.js";

/** Mappings of PCI devices, USB devices and folders: names for what a node has. */
type Kind = "pci" | "usb" | "dir";

const kept = (call: Call, kind: Kind): Record<string, Document> => (call.state.documents[`mapping-${kind}`] ??= {});

function shown(call: Call, kind: Kind, mapping: Document): Record<string, unknown> {
  return {
    ...mapping,
    digest: createHash("sha1")
      .update(JSON.stringify(kept(call, kind)))
      .digest("hex"),
  };
}

function given(call: Call): Document {
  const out: Document = {};
  for (const [key, value] of Object.entries(call.params))
    if (!["delete", "digest"].includes(key))
      out[key] = key === "map" && typeof value === "string" ? [value] : (value as string | string[]);
  return out;
}

/** The simulated nodes have no folders but the usual ones. */
function checkFolders(call: Call): void {
  const map = call.params["map"];
  for (const entry of typeof map === "string" ? [map] : (map ?? [])) {
    const path = /(?:^|,)path=([^,]+)/.exec(entry)?.[1];
    if (path !== undefined && !/^\/(srv|mnt|home|var)(\/|$)/.test(path)) fail(`Path ${path} does not exist`);
  }
}

function callsOf(kind: Kind): Handlers {
  const at = `/cluster/mapping/${kind}`;
  const find = (call: Call): Document =>
    kept(call, kind)[call.need("id")] ?? fail(`mapping '${call.need("id")}' not found`);
  return {
    [`GET ${at}`]: (call) =>
      Object.values(kept(call, kind))
        .filter((one) =>
          call.holds(`/mapping/${kind}/${String(one["id"])}`, ["Mapping.Modify", "Mapping.Use", "Mapping.Audit"], true),
        )
        .map((one) => shown(call, kind, one)),
    [`POST ${at}`]: (call) => {
      const id = call.need("id");
      if (kept(call, kind)[id] !== undefined) fail(`${kind} ID '${id}' already defined`);
      if (kind === "dir") checkFolders(call);
      kept(call, kind)[id] = given(call);
      call.world.changed();
      return null;
    },
    [`GET ${at}/{id}`]: (call) => shown(call, kind, find(call)),
    [`PUT ${at}/{id}`]: (call) => {
      const id = call.need("id");
      const mapping = kept(call, kind)[id] ?? fail(`${kind} ID '${id}' does not exist`);
      for (const key of call.list("delete")) delete mapping[key];
      Object.assign(mapping, given(call));
      call.world.changed();
      return null;
    },
    [`DELETE ${at}/{id}`]: (call) => {
      delete kept(call, kind)[call.need("id")];
      call.world.changed();
      return null;
    },
  };
}

export const mappingCalls: Handlers = { ...callsOf("pci"), ...callsOf("usb"), ...callsOf("dir") };
