import type { QueryRunner } from "typeorm";

/** The rows of a SELECT, which TypeORM gives as `any`. */
export async function queryRows<R>(runner: QueryRunner, sql: string, values?: unknown[]): Promise<R[]> {
  const rows: unknown = await runner.query(sql, values);
  return rows as R[];
}
