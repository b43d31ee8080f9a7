import { createHash } from "node:crypto";
import { parse } from "yaml";
import { flattenSpec } from "../../src/desired/fields.js";
import type { DesiredState } from "../../src/desired/types.js";
import { parseRef, refKey } from "../../src/model/ref.js";
import type { GuestStatus, ObservedStorage } from "../../src/observed/types.js";
import type { PlanPolicy, Resource } from "../../src/plan/types.js";
import { identityMarker } from "../../src/pve/codec/identity.js";
import { sameRaw } from "../../src/pve/codec/same-raw.js";
import type { ModelCluster, ModelGuest } from "./plan-model.js";

/** The identity that Proxmoor gave the guest with this vmid; in inventory.yaml it need not be written. */
export function identityOf(vmid: number): string {
  return `00000000-0000-4000-8000-${String(vmid).padStart(12, "0")}`;
}

interface GuestText {
  readonly kind?: "vm" | "ct";
  readonly node?: string;
  readonly status?: GuestStatus;
  readonly template?: boolean;
  readonly lock?: string;
  readonly unreadable?: string;
  /** ours: Proxmoor's identity where it belongs; marker: a fresh clone; other: somebody else's; none. */
  readonly id?: "ours" | "marker" | "other" | "none";
  readonly config?: Readonly<Record<string, string | number>>;
  readonly pending?: Readonly<Record<string, string | number | null>>;
}

interface ClusterText {
  readonly nodes?: Readonly<Record<string, "online" | "offline" | "unknown">>;
  readonly storages?: Readonly<Record<string, "local" | "shared">>;
  readonly guests?: Readonly<Record<string, GuestText>>;
}

/** cluster.yaml: nodes (pve1 alone by default), storages (local-lvm alone), guests by vmid with PVE's own config keys. */
export function parseCluster(text: string): ModelCluster {
  const { nodes, storages, guests } = (parse(text) ?? {}) as ClusterText;
  return {
    nodes: Object.entries(nodes ?? { pve1: "online" as const }).map(([name, status]) => ({ name, status })),
    storages: Object.entries(storages ?? { "local-lvm": "local" as const }).map(([id, scope]): ObservedStorage => ({
      ...{ id, type: scope === "shared" ? "rbd" : "lvmthin", content: ["images", "rootdir"], enabled: true },
      ...{ shared: scope === "shared", nodes: [] },
    })),
    guests: new Map(
      Object.entries(guests ?? {}).map(([vmid, guest]) => [Number(vmid), modelGuest(Number(vmid), guest)]),
    ),
  };
}

function modelGuest(vmid: number, text: GuestText): ModelGuest {
  const kind = text.kind === "ct" ? "Container" : "VirtualMachine";
  const current = Object.fromEntries(Object.entries(text.config ?? {}).map(([key, value]) => [key, String(value)]));
  const pending = Object.fromEntries(
    Object.entries(text.pending ?? {}).map(([key, value]) => [key, value === null ? null : String(value)]),
  );
  const id = text.id ?? "ours";
  const uuid = id === "ours" ? identityOf(vmid) : `ffffffff-0000-4000-8000-${String(vmid).padStart(12, "0")}`;
  if (kind === "VirtualMachine" && id !== "none") current["smbios1"] = `uuid=${uuid}`;
  if (id === "marker" || (kind === "Container" && (id === "ours" || id === "other"))) {
    const marker = identityMarker(id === "marker" ? identityOf(vmid) : uuid);
    const own = current["description"];
    current["description"] = own === undefined ? marker : `${own}\n${marker}`;
  }
  const { node = "pve1", status = "running", template = false, lock, unreadable } = text;
  return {
    ...{ kind, vmid, node, status, template, current, pending },
    ...(lock !== undefined && { lock }),
    ...(unreadable !== undefined && { unreadable }),
  };
}

interface ResourceText {
  readonly vmid: number;
  readonly node?: string;
  readonly phase?: Resource["phase"];
  readonly prune?: Resource["prune"];
  readonly source?: string;
  /** A spec as in a manifest; left out: what is declared now. */
  readonly lastApplied?: Readonly<Record<string, unknown>>;
}

interface InventoryText {
  readonly resources?: Readonly<Record<string, ResourceText>>;
  readonly unavailable?: readonly number[];
  readonly policy?: {
    readonly adopt?: boolean;
    readonly prune?: boolean;
    readonly allowReplace?: readonly string[];
    readonly isRoot?: boolean;
    readonly vmids?: readonly [number, number];
    readonly maxDeletes?: number;
  };
}

export interface Given {
  readonly resources: readonly Resource[];
  readonly unavailable: ReadonlySet<number>;
  readonly policy: PlanPolicy;
}

/** inventory.yaml: resources by ref, and what the command line allows. */
export function parseInventory(text: string, desired: DesiredState): Given {
  const { resources, unavailable, policy } = (parse(text) ?? {}) as InventoryText;
  const [first, last] = policy?.vmids ?? [100, 199];
  return {
    resources: Object.entries(resources ?? {}).map(([key, one]) => resourceOf(key, one, desired)),
    unavailable: new Set(unavailable),
    policy: {
      adopt: policy?.adopt ?? false,
      prunes: policy?.prune === true ? () => true : undefined,
      allowReplace: new Set(policy?.allowReplace),
      ...(policy?.isRoot !== undefined && { isRoot: policy.isRoot }),
      vmidRange: { first, last },
      maxDeletes: policy?.maxDeletes ?? 10,
      newIdentity: freshIdentity,
      sameRaw,
    },
  };
}

/** A uuid that depends on nothing but the ref, so that order can't show in it. */
export const freshIdentity: PlanPolicy["newIdentity"] = (ref) => {
  const hash = createHash("sha256").update(refKey(ref)).digest("hex");
  return `aaaaaaaa-0000-4000-8000-${hash.slice(0, 12)}`;
};

function resourceOf(key: string, text: ResourceText, desired: DesiredState): Resource {
  const ref = parseRef(key);
  if (!ref) throw new Error(`${key} is no ref`);
  const { vmid, node = "pve1", phase = "ready", prune = "delete", source = "manifests.yaml" } = text;
  const declared = desired.guests.find((guest) => refKey(guest.ref) === key)?.fields ?? {};
  return {
    ref,
    ...{ vmid, node, phase, prune, source, identity: identityOf(vmid), labels: {} },
    lastApplied: text.lastApplied ? flattenSpec(ref.kind, ref.name, text.lastApplied) : declared,
    ...{ generation: 1, observedGeneration: 1, conditions: [] },
  };
}
