import type { Json } from "../model/json.js";
import type { Units } from "./database.js";
import { manifestRevisions } from "./entities/control.js";
import { findOne, insertOne } from "./rows.js";

/** One state of a set of manifests. */
export interface Revision {
  readonly id: number;
  readonly source: string;
  /** SHA-256 over what the manifests declare. */
  readonly digest: string;
  /** The Git commit it came from, where known. */
  readonly commit?: string;
  /** What was declared, without secrets. */
  readonly guests: Json;
  /** UTC milliseconds. */
  readonly recordedAt: number;
}

/** Which manifests were in force when. */
export interface RevisionStore {
  /** Adds a revision where the digest differs from the source's newest one; gives the newest one. */
  record(revision: Omit<Revision, "id">): Promise<Revision>;
  latest(source: string): Promise<Revision | undefined>;
}

export class SqlRevisionStore implements RevisionStore {
  constructor(private readonly database: Units) {}

  record(revision: Omit<Revision, "id">): Promise<Revision> {
    return this.database.write(async (tx) => {
      const newest = await findOne(tx, manifestRevisions, (q) =>
        q.where("t.source = :source", { source: revision.source }).orderBy("t.id", "DESC"),
      );
      if (newest?.digest === revision.digest) return toRevision(newest);
      return { ...revision, id: await insertOne(tx, manifestRevisions, revision) };
    });
  }

  latest(source: string): Promise<Revision | undefined> {
    return this.database.read(async (tx) => {
      const row = await findOne(tx, manifestRevisions, (q) =>
        q.where("t.source = :source", { source }).orderBy("t.id", "DESC"),
      );
      return row === undefined ? undefined : toRevision(row);
    });
  }
}

function toRevision(row: Revision & { createdAt: number; updatedAt: number }): Revision {
  const { createdAt: _created, updatedAt: _updated, ...revision } = row;
  return revision;
}
