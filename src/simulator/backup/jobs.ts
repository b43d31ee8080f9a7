import { ApiFault, fail, refuse } from "../fault.js";
import { isRoot } from "../auth/login.js";
import type { Call, Handlers } from "../call.js";
import { mountsOf } from "../guests/lxc/mounts.js";
import { drive, isCdrom, isDriveKey } from "../guests/qemu/drives.js";
import type { Document, Guest } from "../state/model.js";
import { CALL_SHAPES } from "../table/table.js";
import { partsOf, splitList } from "../table/check.js";

const SHAPE = CALL_SHAPES.get("POST /cluster/backup")?.params ?? {};
const ROOT_ONLY = ["tmpdir", "dumpdir", "script", "job-id"];
const WEEK_S = 7 * 86_400;

const jobs = (call: Call): Record<string, Document> => (call.state.documents["backup"] ??= {});

/** Options that only root@pam itself may set. */
export function rootOptions(call: Call): void {
  if (isRoot(call.login)) return;
  for (const key of ROOT_ONLY) if (call.has(key)) refuse({ [key]: "Only root may set this option." });
}

/** PVE raises these inside a locked change, where the status is lost: a 500 with the text of a 400. */
function nested(key: string, text: string): never {
  throw new ApiFault(500, `400 Parameter verification failed.\n${key}: ${text}`);
}

function checkSelection(job: Document): void {
  const vmid = job["vmid"];
  const nothing = vmid === undefined && job["all"] !== "1" && job["pool"] === undefined;
  if (nothing || vmid === "") nested("vmid", "property is missing");
  for (const key of ["all", "exclude", "pool"])
    if (vmid !== undefined && job[key] !== undefined && job[key] !== "0")
      nested(key, "option conflicts with option 'vmid'");
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

function create(call: Call): null {
  rootOptions(call);
  const job = given(call);
  const { starttime, dow } = job;
  if (job["schedule"] === undefined && starttime === undefined)
    refuse({ schedule: "neither 'starttime' nor 'schedule' were set" });
  if (typeof starttime === "string") {
    job["schedule"] ??= `${typeof dow === "string" ? `${dow} ` : ""}${starttime}`;
    delete job["starttime"];
    delete job["dow"];
  }
  const { random } = call.world;
  const id = typeof job["id"] === "string" ? job["id"] : `backup-${random.hex(8)}-${random.hex(4)}`;
  if (jobs(call)[id] !== undefined) fail(`Job '${id}' already exists`);
  checkSelection(job);
  job["id"] = id;
  job["enabled"] ??= "1";
  jobs(call)[id] = job;
  call.world.changed();
  return null;
}

const jobOf = (call: Call): Document => {
  const id = call.need("id");
  return jobs(call)[id] ?? refuse({ id: `No such job '${id}'` });
};

function update(call: Call): null {
  rootOptions(call);
  const job = jobs(call)[call.need("id")] ?? fail("no such vzdump job");
  for (const key of splitList(call.text("delete") ?? "")) delete job[key];
  Object.assign(job, given(call));
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
    Object.values(jobs(call)).map((job) => ({ ...shown(job), "next-run": call.world.seconds() + WEEK_S })),
  "POST /cluster/backup": create,
  "GET /cluster/backup/{id}": (call) => shown(jobOf(call)),
  "PUT /cluster/backup/{id}": update,
  "DELETE /cluster/backup/{id}": remove,
  "GET /cluster/backup/{id}/included_volumes": includedVolumes,
  "GET /cluster/backup-info/not-backed-up": notBackedUp,
};
