import type { QueryRunner } from "typeorm";
import { ProxmoorError } from "../model/errors.js";
import type { Connections } from "./connections.js";
import { isStoreFault, isTransient, storeError } from "./errors.js";
import { Mutex } from "./mutex.js";
import { pauseForConnection, pauseForLock } from "./pause.js";
import type { Tx } from "./rows.js";

/** How often a unit of work begins again after its connection was lost. */
const CONNECTIONS_LOST = 3;

/** Where units of work run: each for itself in the database, or all in one transaction. */
export interface Units {
  read<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
}

/**
 * Runs units of work, each one transaction that is rolled back on any error. Locks, serialisation failures and
 * connections lost before the commit are tried again from the start: nothing of the unit has happened then. So `work`
 * must have no effect but through `tx`.
 */
export class Database implements Units {
  private readonly writing = new Mutex();
  private readonly reading: Mutex;
  private closed: Promise<void> | undefined;

  constructor(
    readonly connections: Connections,
    private readonly now: () => number,
  ) {
    this.reading = connections.reader === connections.writer ? this.writing : new Mutex();
  }

  /** Throws the DB_ errors; what `work` throws itself comes out as it is. */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.transaction("write", work);
  }

  /** A consistent view: all of `work` sees one state of the database. */
  read<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.transaction("read", work);
  }

  /** Waits for what runs, then closes. Closing twice is fine. */
  close(): Promise<void> {
    this.closed ??= this.destroy();
    return this.closed;
  }

  private async destroy(): Promise<void> {
    const { reader, writer } = this.connections;
    await this.writing.run(() =>
      this.reading === this.writing ? Promise.resolve() : this.reading.run(async () => {}),
    );
    if (reader !== writer) await reader.destroy();
    await writer.destroy();
  }

  private transaction<T>(kind: "read" | "write", work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.closed !== undefined) {
      return Promise.reject(new ProxmoorError("INTERNAL", "The database was closed already"));
    }
    const run = () => this.attempts(kind, work);
    // One SQLite connection has one transaction: units of work that overlap would end up in each other's.
    return this.connections.single ? (kind === "write" ? this.writing : this.reading).run(run) : run();
  }

  private async attempts<T>(kind: "read" | "write", work: (tx: Tx) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.connections.lockWaitMs;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.attempt(kind, work);
      } catch (error) {
        if (!(error instanceof Retryable)) throw error;
        const lost = error.fault.code === "DB_UNREACHABLE";
        if (lost ? attempt > CONNECTIONS_LOST : performance.now() >= deadline) throw error.fault;
        await (lost ? pauseForConnection(attempt) : pauseForLock(attempt));
      }
    }
  }

  private async attempt<T>(kind: "read" | "write", work: (tx: Tx) => Promise<T>): Promise<T> {
    const { reader, writer, provider, begin } = this.connections;
    const runner = (kind === "write" ? writer : reader).createQueryRunner();
    let phase: "begin" | "work" | "commit" = "begin";
    try {
      await runner.query(begin[kind]);
      phase = "work";
      const result = await work({ runner, provider, now: this.now() });
      phase = "commit";
      await runner.query("COMMIT");
      return result;
    } catch (error) {
      if (phase !== "begin") await rollback(runner);
      throw this.judge(error, phase);
    } finally {
      await runner.release();
    }
  }

  private judge(error: unknown, phase: "begin" | "work" | "commit"): unknown {
    if (error instanceof ProxmoorError || !isStoreFault(error)) return error;
    const fault = storeError(error, this.connections.subject);
    const lost = fault.code === "DB_UNREACHABLE" && fault.retry === "later";
    if (lost && phase === "commit") {
      return new ProxmoorError("DB_UNREACHABLE", `${fault.message}; whether the last change was stored is not known`, {
        subject: fault.subject,
        remedy: fault.remedy,
        cause: fault.cause,
      });
    }
    return lost || isTransient(fault) ? new Retryable(fault) : fault;
  }
}

class Retryable extends Error {
  constructor(readonly fault: ProxmoorError) {
    super(fault.message);
  }
}

async function rollback(runner: QueryRunner): Promise<void> {
  // Where this fails the connection is gone, and the database has rolled back by itself.
  await runner.query("ROLLBACK").catch(() => undefined);
}
