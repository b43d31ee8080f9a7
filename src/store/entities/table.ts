import { EntitySchema } from "typeorm";
import type { EntitySchemaColumnOptions } from "typeorm";

export type Provider = "sqlite" | "postgresql";

/**
 * What a column holds. `bigint` is exact to 2^63-1 and a bigint in records; `time` is UTC milliseconds, a BIGINT in
 * both databases so that they compare and read back the same; `json` is text as it was written: json in PostgreSQL, text in SQLite.
 */
export type ColumnType = "text" | "int" | "bigint" | "real" | "bool" | "json" | "time";

export interface Column {
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** Its name in the database. */
  readonly name: string;
  readonly primary: boolean;
  /** Numbered by the database. */
  readonly generated: boolean;
}

export interface TableIndex {
  readonly columns: readonly string[];
  readonly unique?: boolean;
}

export interface TableForeignKey {
  readonly column: string;
  readonly table: string;
  readonly references: string;
  readonly onDelete: "CASCADE" | "SET NULL" | "NO ACTION";
}

/** Columns every table has. */
export interface Stamps {
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A table: how records of type T lie in it. Property names are the records', column names their snake_case. */
export interface Table<T> {
  readonly name: string;
  readonly columns: Readonly<Record<string, Column>>;
  readonly indexes: readonly TableIndex[];
  readonly foreignKeys: readonly TableForeignKey[];
  /** Only in the types: what a row is. */
  readonly row?: T;
}

type ColumnSpec = ColumnType | `${ColumnType}?` | `${ColumnType} key` | `${ColumnType} serial`;

/** `memoryMax` → `memory_max`. */
export function columnName(property: string): string {
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Declares a table. `text?` is a nullable column, `text key` (part of) the primary key, `int serial` a numbered one. */
export function table<T>(
  name: string,
  columns: { readonly [K in keyof Required<T>]: ColumnSpec },
  more: { indexes?: readonly TableIndex[]; foreignKeys?: readonly TableForeignKey[] } = {},
): Table<T> {
  const stamped: Record<string, ColumnSpec> = { ...columns, createdAt: "time", updatedAt: "time" };
  return {
    name,
    columns: Object.fromEntries(Object.entries(stamped).map(([property, spec]) => [property, column(property, spec)])),
    indexes: more.indexes ?? [],
    foreignKeys: more.foreignKeys ?? [],
  };
}

function column(property: string, spec: ColumnSpec): Column {
  const [type, role] = spec.replace("?", "").split(" ");
  return {
    type: type as ColumnType,
    nullable: spec.endsWith("?"),
    name: columnName(property),
    primary: role !== undefined,
    generated: role === "serial",
  };
}

/** TypeORM's entity of a table. Plain schemas, no decorated classes: rows are records (ADR 0001). */
export function entitySchema(of: Omit<Table<unknown>, "row">, provider: Provider): EntitySchema {
  const columns = Object.entries(of.columns).map(([property, col]) => [property, columnOptions(of, col, provider)]);
  return new EntitySchema({
    name: of.name,
    tableName: of.name,
    columns: Object.fromEntries(columns) as Record<string, EntitySchemaColumnOptions>,
    indices: of.indexes.map((index) => ({
      name: indexName(of.name, index),
      columns: [...index.columns],
      unique: index.unique === true,
    })),
    foreignKeys: of.foreignKeys.map((key) => ({
      name: foreignKeyName(of.name, key),
      target: key.table,
      columnNames: [key.column],
      referencedColumnNames: [key.references],
      onDelete: key.onDelete,
    })),
  });
}

function indexName(name: string, index: TableIndex): string {
  return `${index.unique === true ? "uq" : "ix"}_${name}_${index.columns.map(columnName).join("_")}`;
}

function foreignKeyName(name: string, key: TableForeignKey): string {
  return `fk_${name}_${columnName(key.column)}`;
}

function columnOptions(of: { readonly name: string }, col: Column, provider: Provider): EntitySchemaColumnOptions {
  return {
    name: col.name,
    type: sqlType(col, provider),
    nullable: col.nullable,
    ...(col.primary ? { primary: true, primaryKeyConstraintName: `pk_${of.name}` } : {}),
    ...(col.generated ? { generated: "increment" as const } : {}),
  };
}

function sqlType(
  col: Column,
  provider: Provider,
): "text" | "integer" | "bigint" | "double precision" | "boolean" | "json" {
  switch (col.type) {
    case "text":
      return "text";
    case "int":
      return "integer";
    case "bigint":
      // SQLite numbers rows in INTEGER PRIMARY KEY only; its INTEGER has 64 bits as well.
      return col.generated && provider === "sqlite" ? "integer" : "bigint";
    case "time":
      return "bigint";
    case "real":
      return "double precision";
    case "bool":
      return "boolean";
    case "json":
      return provider === "sqlite" ? "text" : "json";
  }
}
