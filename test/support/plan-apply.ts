import type { StepRequest } from "../../src/apply/types.js";
import { refKey } from "../../src/model/ref.js";
import type { Change, Plan, Resource, Step } from "../../src/plan/types.js";
import { requestOf } from "../../src/pve/requests.js";
import { isLive, options } from "./plan-hotplug.js";
import { lookAt, type ModelCluster, type ModelGuest } from "./plan-model.js";

/** A step with the request that src/pve makes of it, at the moment it is sent. */
export interface SentStep {
  readonly change: Change;
  readonly step: Step;
  /** undefined: nothing had to be sent. */
  readonly request: StepRequest | undefined;
}

export interface Applied {
  readonly cluster: ModelCluster;
  readonly resources: readonly Resource[];
  readonly sent: readonly SentStep[];
}

const NO_PARAMETERS = new Set(["vmid", "ostemplate", "delete", "digest"]);

/** Carries a plan out on a model: each step's request as src/pve makes it, then what PVE would make of the request. */
export async function applyPlan(plan: Plan, before: ModelCluster, inventory: readonly Resource[]): Promise<Applied> {
  let cluster = before;
  let resources = [...inventory];
  const sent: SentStep[] = [];
  for (const change of plan.changes) {
    if (change.action === "blocked") continue;
    for (const step of change.steps) {
      const makes = step.op === "create" || step.op === "clone";
      const request = requestOf(step, makes ? undefined : await lookAt(cluster, step.target.vmid));
      sent.push({ change, step, request });
      if (request) cluster = applyStep(cluster, step, request);
    }
    resources = settle(resources, change);
  }
  return { cluster, resources, sent };
}

/** The inventory after a change, as src/apply leaves it. */
function settle(resources: readonly Resource[], change: Change): Resource[] {
  const key = refKey(change.ref);
  const before = resources.find((one) => refKey(one.ref) === key);
  const others = resources.filter((one) => refKey(one.ref) !== key);
  const { desired, vmid, node } = change;
  if (change.action === "delete") return others;
  if (!desired || vmid === undefined || node === undefined) return [...resources];
  const identity = change.identity ?? before?.identity ?? "";
  return [
    ...others,
    {
      ref: change.ref,
      ...{ vmid, node, identity, phase: "ready" as const, lastApplied: desired.fields, labels: desired.labels },
      source: desired.place.file,
      prune: desired.lifecycle.prune,
      ...{ generation: 1, observedGeneration: 1, conditions: [] },
    },
  ];
}

function applyStep(cluster: ModelCluster, step: Step, { params }: StepRequest): ModelCluster {
  const guests = new Map(cluster.guests);
  const { vmid } = step.target;
  const guest = guests.get(vmid);
  if (step.op === "create") guests.set(vmid, created(step, params));
  else if (step.op === "clone") guests.set(vmid, cloned(step, params, guests.get(step.source.vmid)));
  else if (!guest) throw new Error(`${step.op} of ${vmid}, which is not there`);
  else if (step.op === "destroy") {
    if (guest.status !== "stopped") throw new Error(`destroy of ${vmid}, which is ${guest.status}`);
    guests.delete(vmid);
  } else guests.set(vmid, changed(guest, step, params));
  return { ...cluster, guests };
}

function changed(guest: ModelGuest, step: Step, params: StepRequest["params"]): ModelGuest {
  switch (step.op) {
    case "configure":
      return configured(guest, params);
    case "resize":
      return resized(guest, step.disk, params["size"] ?? "");
    case "start":
    case "reboot":
      return restarted(guest, "running");
    case "stop":
    case "shutdown":
      return { ...guest, status: "stopped" };
    default:
      throw new Error(`the model has no ${step.op}`);
  }
}

function created({ target }: Step, params: StepRequest["params"]): ModelGuest {
  const { kind, vmid, node } = target;
  const current: Record<string, string> = {};
  for (const [key, value] of Object.entries(params))
    if (!NO_PARAMETERS.has(key)) current[key] = asPveStores({ key, value, vmid });
  if (kind === "Container") {
    // the other way round in PVE 9: new ones are unprivileged, and the key is only there where they are
    const isPrivileged = params["unprivileged"] === "0";
    delete current["unprivileged"];
    Object.assign(current, { arch: "amd64", ostype: "debian" }, !isPrivileged && { unprivileged: "1" });
    current["memory"] ??= "512";
    current["swap"] ??= "512";
  }
  return { ...{ kind, vmid, node, current }, status: "stopped", template: false, pending: {} };
}

function cloned(
  step: Extract<Step, { op: "clone" }>,
  params: StepRequest["params"],
  source: ModelGuest | undefined,
): ModelGuest {
  if (!source) throw new Error(`the clone's source ${step.source.vmid} is not there`);
  const { kind, vmid, node } = step.target;
  const current: Record<string, string> = {};
  for (const [key, value] of Object.entries(source.current)) {
    if (/^net\d+$/.test(key)) current[key] = asPveStores({ key, value: value.replace(/=BC:24:11:[^,]*/, ""), vmid });
    else if (/^(scsi|virtio|sata|ide)\d+$/.test(key)) current[key] = clonedDrive(value, vmid, step.storage);
    else current[key] = value;
  }
  // a clone gets a uuid of PVE's own [qemuclone/full.default.config]
  current["smbios1"] = `uuid=${"c".repeat(8)}-0000-4000-8000-${String(vmid).padStart(12, "0")}`;
  Object.assign(current, { name: params["name"] ?? "", description: params["description"] ?? "" });
  return { ...{ kind, vmid, node, current }, status: "stopped", template: false, pending: {} };
}

function clonedDrive(value: string, vmid: number, storage: string | undefined): string {
  if (value.includes("media=cdrom") && !value.includes("cloudinit")) return value;
  const own = value.replace(/(base|vm)-\d+-/g, `vm-${vmid}-`);
  return storage === undefined ? own : own.replace(/^[^:]*:(\d+\/)?/, `${storage}:`).replace(/\.qcow2/, "");
}

/** How a parameter comes back in the configuration (FACTS, "How values come back"). */
function asPveStores({ key, value, vmid }: { key: string; value: string; vmid: number }): string {
  const slot = /^([a-z]+)(\d+)$/.exec(key);
  if (slot?.[1] === "net") return withMac(value, vmid, Number(slot[2]));
  const isVolume = key === "rootfs" || ["scsi", "virtio", "sata", "ide", "mp"].includes(slot?.[1] ?? "");
  const fresh = isVolume ? /^([^:/,]+):([\d.]+|cloudinit)(,.*)?$/.exec(value) : null;
  if (!fresh) return value;
  const [, storage = "", size = "", rest = ""] = fresh;
  if (size === "cloudinit") return `${storage}:vm-${vmid}-cloudinit,media=cdrom`;
  const bare = rest.replace(/,format=[^,]*/, "");
  return `${storage}:vm-${vmid}-disk-${key}${bare},size=${Math.round(Number(size) * 1024)}M`;
}

function withMac(net: string, vmid: number, index: number): string {
  const hex = (number: number) => (number % 256).toString(16).padStart(2, "0").toUpperCase();
  const mac = `BC:24:11:${hex(vmid >> 8)}:${hex(vmid)}:${hex(index)}`;
  if (/^name=|,bridge=.*type=veth|^bridge=/.test(net))
    return net.includes("hwaddr=") ? net : `${net},hwaddr=${mac},type=veth`;
  const [model = "", ...rest] = net.split(",");
  return model.includes("=") ? net : [`${model}=${mac}`, ...rest].join(",");
}

function configured(guest: ModelGuest, params: StepRequest["params"]): ModelGuest {
  const current: Record<string, string> = { ...guest.current };
  const pending: Record<string, string | null> = { ...guest.pending };
  const isCold = guest.status === "stopped";
  const write = (key: string, to: string | undefined) => {
    const from = current[key];
    if (isCold || isLive({ kind: guest.kind, key, from, to, hotplug: guest.current["hotplug"] })) {
      delete pending[key];
      if (to === undefined) delete current[key];
      else current[key] = to;
    } else pending[key] = to ?? null;
    if (pending[key] !== undefined && (pending[key] ?? undefined) === current[key]) delete pending[key];
  };
  for (const key of params["delete"]?.split(",") ?? []) {
    const volume = options(current[key] ?? "", "file").get("file") ?? "";
    write(key, undefined);
    if (/^(scsi|virtio|sata|ide)\d+$/.test(key) && current[key] === undefined)
      current[`unused${freeUnused(current)}`] = volume;
  }
  for (const [key, value] of Object.entries(params))
    if (!NO_PARAMETERS.has(key)) write(key, asPveStores({ key, value, vmid: guest.vmid }));
  return { ...guest, current, pending };
}

function freeUnused(config: Readonly<Record<string, string>>): number {
  for (let index = 0; ; index++) if (config[`unused${index}`] === undefined) return index;
}

function resized(guest: ModelGuest, disk: string, size: string): ModelGuest {
  const value = guest.current[disk];
  if (value === undefined) throw new Error(`resize of ${disk}, which is not there`);
  return { ...guest, current: { ...guest.current, [disk]: value.replace(/size=[^,]*/, `size=${size}`) } };
}

function restarted(guest: ModelGuest, status: "running"): ModelGuest {
  const current: Record<string, string> = { ...guest.current };
  for (const [key, value] of Object.entries(guest.pending)) {
    if (value === null) delete current[key];
    else current[key] = value;
  }
  return { ...guest, status, current, pending: {} };
}
