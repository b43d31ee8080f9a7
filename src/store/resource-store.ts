import type { ResourceStore } from "../apply/types.js";
import { ProxmoorError } from "../model/errors.js";
import { compareRefs, refKey } from "../model/ref.js";
import type { Kind, Ref } from "../model/ref.js";
import type { Inventory, Resource } from "../plan/types.js";
import type { Units } from "./database.js";
import { resourceLabels, resources, vmidQuarantine } from "./entities/control.js";
import type { ResourceRow } from "./entities/control.js";
import type { Stamps } from "./entities/table.js";
import { storeError } from "./errors.js";
import { deleteIn, findAll, findOne, insertMany } from "./rows.js";
import type { Tx } from "./rows.js";

/** What Proxmoor made or adopted. */
export class SqlResourceStore implements ResourceStore {
  constructor(private readonly database: Units) {}

  inventory(now: number): Promise<Inventory> {
    return this.database.read(async (tx) => {
      const rows = await findAll(tx, resources);
      const held = await findAll(tx, vmidQuarantine, (q) => q.where("t.until > :now", { now }));
      return {
        resources: rows.map(toResource).sort((a, b) => compareRefs(a.ref, b.ref)),
        unavailableVmids: new Set([...rows, ...held].map((row) => row.vmid).sort((a, b) => a - b)),
      };
    });
  }

  find(ref: Ref): Promise<Resource | undefined> {
    return this.database.read(async (tx) => {
      const row = await findOne(tx, resources, (q) => q.where("t.ref = :ref", { ref: refKey(ref) }));
      return row === undefined ? undefined : toResource(row);
    });
  }

  async save(resource: Resource): Promise<void> {
    try {
      await this.database.write(async (tx) => {
        await refuseTakenVmid(tx, resource);
        await insertMany(tx, resources, [toRow(resource)], { onConflict: "update" });
        await writeLabels(tx, resource);
        await deleteIn(tx, vmidQuarantine, "vmid", [resource.vmid]);
      });
    } catch (error) {
      // Another program took the vmid between the look and the insert: look again, to name it.
      const fault = storeError(error);
      if (fault.code === "DB_DUPLICATE" && fault.subject !== refKey(resource.ref)) {
        await this.database.read((tx) => refuseTakenVmid(tx, resource));
      }
      throw error;
    }
  }

  remove(ref: Ref, quarantineUntil: number): Promise<void> {
    return this.database.write(async (tx) => {
      const key = refKey(ref);
      const row = await findOne(tx, resources, (q) => q.where("t.ref = :key", { key }));
      if (row === undefined) return;
      await deleteIn(tx, resources, "ref", [key]);
      const held = { vmid: row.vmid, ref: key, until: quarantineUntil };
      await insertMany(tx, vmidQuarantine, [held], { onConflict: "update" });
    });
  }
}

/** Once more as rows, to find by them. */
async function writeLabels(tx: Tx, resource: Resource): Promise<void> {
  const ref = refKey(resource.ref);
  await deleteIn(tx, resourceLabels, "ref", [ref]);
  const rows = Object.entries(resource.labels).map(([key, value]) => ({ ref, key, value }));
  await insertMany(tx, resourceLabels, rows);
}

async function refuseTakenVmid(tx: Tx, resource: Resource): Promise<void> {
  const key = refKey(resource.ref);
  const { vmid } = resource;
  const other = await findOne(tx, resources, (q) => q.where("t.vmid = :vmid AND t.ref <> :key", { vmid, key }));
  if (other === undefined) return;
  throw new ProxmoorError("DB_DUPLICATE", `vmid ${vmid} can't be given to ${key}: ${other.ref} has it`, {
    subject: key,
    remedy: `Give ${key} another vmid, or delete ${other.ref} first.`,
    facts: { vmid, other: other.ref },
  });
}

function toRow(resource: Resource): ResourceRow {
  const { ref, ...rest } = resource;
  return { ...rest, ref: refKey(ref), kind: ref.kind, name: ref.name };
}

function toResource(row: ResourceRow & Stamps): Resource {
  const { ref: _key, kind, name, createdAt: _created, updatedAt: _updated, ...rest } = row;
  return { ...rest, ref: { kind: kind as Kind, name } };
}
