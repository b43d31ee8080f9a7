import { ApiFault, fail, refuse } from "../fault.js";
import type { Call, Handlers } from "../call.js";
import { mountsOf } from "../guests/lxc/mounts.js";
import { drive, isCdrom, isDriveKey } from "../guests/qemu/drives.js";
import type { Document, Guest } from "../state/model.js";
import { nextRun } from "../cluster/schedule.js";
import { requirePool } from "../pools/members.js";
import { CALL_SHAPES } from "../table/table.js";
import { partsOf, splitList } from "../table/check.js";
import { backupTarget, checkOptionRights, selectionFault } from "./parameters.js";

const SHAPE = CALL_SHAPES.get("POST /cluster/backup")?.params ?? {};
const jobs = (call: Call): Record<string, Document> => (call.state.documents["backup"] ??= {});

/** PVE raises these inside a locked change, where the status is lost: a 500 with the text of a 400. */
function nested(key: string, text: string): never {
  throw new ApiFault(500, `400 Parameter verification failed.\n${key}: ${text}`);
}

function checkSelection(job: Document): void {
  for (const [key, text] of Object.entries(selectionFault(job) ?? {})) nested(key, text);
}

function shown(job: Document): Record<string, unknown> {
  const out: Record<string, unknown> = { type: "vzdump" };
  for (const [key, value] of Object.entries(job)) {
    const type = SHAPE[key]?.type;
    if (key === "prune-backups" && typeof value === "string") out[key] = partsOf(value, "prune-backups");
    else out[key] = type === "boolean" || type === "integer" ? Number(value) : value;
  }
  return out;
}

function given(call: Call): Document {
  const out: Document = {};
  for (const [key, value] of Object.entries(call.params))
    if (key !== "delete") out[key] = typeof value === "string" ? value : [...value];
  return out;
}

function checkRights(call: Call): void {
  checkOptionRights(call);
  if (call.has("storage")) call.require(`/storage/${backupTarget(call)}`, ["Datastore.Allocate"]);
  const pool = call.text("pool");
  if (pool === undefined) return;
  requirePool(call.state, pool);
  call.require(`/pool/${pool}`, ["VM.Backup"]);
}

/** A start time, with days or without, is an old way to write a schedule. */
function withSchedule(job: Document, required: boolean): Document {
  const { starttime, dow, ...rest } = job;
  if (rest["schedule"] !== undefined) {
    if (starttime !== undefined) refuse({ starttime: "'starttime' and 'schedule' cannot both be set" });
  } else if (typeof starttime === "string")
    rest["schedule"] = typeof dow === "string" ? `${splitList(dow).join(",")} ${starttime}` : starttime;
  else if (required) refuse({ schedule: "neither 'starttime' nor 'schedule' were set" });
  return rest;
}

function create(call: Call): null {
  checkRights(call);
  const job = withSchedule(given(call), true);
  job["enabled"] ??= "1";
  const { random } = call.world;
  const id = typeof job["id"] === "string" ? job["id"] : `backup-${random.hex(8)}-${random.hex(4)}`;
  if (jobs(call)[id] !== undefined) fail(`Job '${id}' already exists`);
  checkSelection(job);
  if (job["exclude"] !== undefined && job["pool"] === undefined) job["all"] = "1";
  jobs(call)[id] = { ...job, id };
  call.world.changed();
  return null;
}

const jobOf = (call: Call): Document => {
  const id = call.need("id");
  return jobs(call)[id] ?? refuse({ id: `No such job '${id}'` });
};

function update(call: Call): null {
  checkRights(call);
  const set = withSchedule(given(call), false);
  const before = jobs(call)[call.need("id")] ?? fail("no such vzdump job");
  const job: Document = { ...before };
  for (const key of splitList(call.text("delete") ?? "")) {
    if (SHAPE[key] === undefined || key === "id") nested("delete", `unknown option '${key}'`);
    delete job[key];
  }
  Object.assign(job, set);
  if (job["exclude"] !== undefined && job["pool"] === undefined) job["all"] = "1";
  // a new choice of guests takes the place of the old one
  const replaced =
    set["vmid"] !== undefined
      ? ["all", "exclude", "pool"]
      : set["all"] === "1"
        ? ["vmid", "pool"]
        : job["pool"] !== undefined
          ? ["vmid", "all", "exclude"]
          : [];
  for (const key of replaced) delete job[key];
  checkSelection(job);
  jobs(call)[call.need("id")] = job;
  call.world.changed();
  return null;
}

function remove(call: Call): null {
  const id = call.need("id");
  if (jobs(call)[id] === undefined) nested("id", `No such job '${id}'`);
  delete jobs(call)[id];
  call.world.changed();
  return null;
}

/** Guests that a job or a vzdump call speaks of, by vmid. */
export function selected(call: Call, job: Document): Guest[] {
  const all = Object.values(call.state.guests).sort((a, b) => a.vmid - b.vmid);
  const { vmid, pool, exclude } = job;
  if (typeof vmid === "string") {
    const wanted = splitList(vmid).map(Number);
    return all.filter((guest) => wanted.includes(guest.vmid));
  }
  if (typeof pool === "string") {
    const members = call.state.pools[pool]?.vms ?? fail(`pool '${pool}' does not exist`);
    return all.filter((guest) => members.includes(guest.vmid));
  }
  const excluded = typeof exclude === "string" ? splitList(exclude).map(Number) : [];
  return all.filter((guest) => !excluded.includes(guest.vmid));
}

interface Leaf {
  readonly id: string;
  readonly name: string;
  readonly leaf: 1;
  readonly included: 0 | 1;
  readonly reason: string;
}

const nameOf = (guest: Guest): string => guest.config["name"] ?? guest.config["hostname"] ?? "";

function volumesOf(guest: Guest): Leaf[] {
  const leaf = (key: string, name: string, reason: string): Leaf => {
    const included = /^(backup=yes|rootfs|enabled)$/.test(reason) ? 1 : 0;
    return { id: `${guest.vmid}:${key}`, name, leaf: 1, included, reason };
  };
  if (guest.kind === "lxc")
    return mountsOf(guest.config).map(([key, mount]) => {
      const reason = key === "rootfs" ? "rootfs" : mount["backup"] === "1" ? "enabled" : "disabled";
      return leaf(key, mount["volume"] ?? "", reason);
    });
  return Object.entries(guest.config).flatMap(([key, value]) => {
    if (!isDriveKey(key)) return [];
    const parts = drive(key, value);
    return isCdrom(parts) ? [] : [leaf(key, parts["file"] ?? "", parts["backup"] === "0" ? "backup=no" : "backup=yes")];
  });
}

function includedVolumes(call: Call): unknown {
  const children = selected(call, jobOf(call)).map((guest) => ({
    id: guest.vmid,
    name: nameOf(guest),
    type: guest.kind,
    leaf: 0,
    children: volumesOf(guest),
  }));
  return { children };
}

function notBackedUp(call: Call): unknown {
  const covered = new Set(Object.values(jobs(call)).flatMap((job) => selected(call, job).map((guest) => guest.vmid)));
  return Object.values(call.state.guests)
    .filter((guest) => !covered.has(guest.vmid) && call.holds(`/vms/${guest.vmid}`, ["VM.Audit"]))
    .map((guest) => ({ vmid: guest.vmid, type: guest.kind, name: nameOf(guest) }));
}

export const backupJobCalls: Handlers = {
  "GET /cluster/backup": (call) =>
    Object.values(jobs(call)).map((job) => {
      const next = nextRun(String(job["schedule"]), call.world.seconds());
      return { ...shown(job), ...(next !== undefined && { "next-run": next }) };
    }),
  "POST /cluster/backup": create,
  "GET /cluster/backup/{id}": (call) => shown(jobOf(call)),
  "PUT /cluster/backup/{id}": update,
  "DELETE /cluster/backup/{id}": remove,
  "GET /cluster/backup/{id}/included_volumes": includedVolumes,
  "GET /cluster/backup-info/not-backed-up": notBackedUp,
};
