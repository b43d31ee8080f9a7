import type { Logger } from "typeorm";

/** What the store tells its owner's log. Never a statement's parameters: configs and settings may hold secrets. */
export interface StoreEvent {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
}

export type StoreLog = (event: StoreEvent) => void;

/** Statements that take longer are reported, ms. */
export const SLOW_MS = 1000;

/** TypeORM's log, without parameters. */
export class StatementLogger implements Logger {
  constructor(
    private readonly report: StoreLog,
    private readonly statements: boolean,
  ) {}

  logQuery(query: string): void {
    if (this.statements) this.report({ level: "debug", message: "statement", facts: { sql: shorten(query) } });
  }

  logQueryError(error: string | Error, query: string): void {
    const text = error instanceof Error ? error.message : error;
    this.report({ level: "debug", message: "statement failed", facts: { sql: shorten(query), error: text } });
  }

  logQuerySlow(time: number, query: string): void {
    this.report({ level: "warn", message: "slow statement", facts: { sql: shorten(query), ms: time } });
  }

  logSchemaBuild(message: string): void {
    this.report({ level: "debug", message: "schema", facts: { text: message } });
  }

  logMigration(message: string): void {
    this.report({ level: "debug", message: "migration", facts: { text: message } });
  }

  log(level: "log" | "info" | "warn", message: unknown): void {
    this.report({ level: level === "warn" ? "warn" : "debug", message: "database", facts: { text: String(message) } });
  }
}

function shorten(sql: string): string {
  return sql.length > 500 ? `${sql.slice(0, 500)}…` : sql;
}
