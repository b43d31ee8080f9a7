import { FORMATS } from "../formats.js";
import type { FormatName, TextFormat } from "../formats.js";

export type Scalar = string | number | boolean;

/** What is asked of a quantity, in bytes. */
export interface QuantityRule {
  readonly minimum: number;
  /** Only multiples of this many bytes. */
  readonly step: number;
  /** What a number without a unit was probably meant in. */
  readonly bare: "Mi" | "Gi";
}

/** The keys of a map that are no fixed names: slots, labels. */
export interface KeyRule {
  /** What a key is called in messages: `disk slot`. */
  readonly what: string;
  readonly allowed: string;
}

/**
 * The part of JSON Schema (draft-07) that the manifests need, plus three words of our own: `format` names one of
 * FORMATS, `quantity` and `keys` are taken out or turned into patterns where the schema is written for editors.
 */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: Scalar;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: FormatName;
  readonly quantity?: QuantityRule;
  readonly keys?: KeyRule;
  readonly items?: Schema;
  readonly minProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: false;
}

type Extra = Pick<Schema, "default" | "maxLength" | "minLength">;

export const MiB = 2 ** 20;

export function text(description: string, format?: FormatName, extra: Extra = {}): Schema {
  if (format === undefined) return { type: "string", description, ...extra };
  const { pattern }: TextFormat = FORMATS[format];
  return { type: "string", description, format, ...(pattern === undefined ? {} : { pattern }), ...extra };
}

export function flag(description: string): Schema {
  return { type: "boolean", description };
}

export function choice(description: string, values: readonly string[], preset?: string): Schema {
  return { type: "string", description, enum: values, ...(preset === undefined ? {} : { default: preset }) };
}

interface Range {
  readonly minimum?: number;
  readonly maximum?: number;
}

export function integer(description: string, range: Range): Schema {
  return { type: "integer", description, ...range };
}

export function decimal(description: string, range: Range): Schema {
  return { type: "number", description, ...range };
}

/** Bytes, written the way Kubernetes does; in whole MiB, PVE's unit of memory and the finest it allots disks in. */
export function quantity(description: string, minimum: number, bare: QuantityRule["bare"] = "Mi"): Schema {
  return { type: ["string", "integer"], description, quantity: { minimum, step: MiB, bare } };
}

export function list(description: string, items: Schema): Schema {
  return { type: "array", description, items };
}

/** A map with fixed fields. An empty one says nothing and is most likely a slip, so it is refused. */
export function fields(
  description: string,
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema {
  return {
    type: "object",
    description,
    properties,
    ...(required.length > 0 ? { required } : { minProperties: 1 }),
    additionalProperties: false,
  };
}

/** A map keyed by PVE's slot names. */
export function slots(description: string, keys: KeyRule & { readonly pattern: string }, item: Schema): Schema {
  const { what, allowed, pattern } = keys;
  return {
    type: "object",
    description,
    patternProperties: { [pattern]: item },
    additionalProperties: false,
    keys: { what, allowed },
  };
}

export const NET_SLOTS = {
  what: "network slot",
  allowed: "net0 to net31",
  pattern: "^net([0-9]|[12][0-9]|3[01])$",
} as const;

export const DISK_SLOTS = {
  what: "disk slot",
  allowed: "scsi0 to scsi30, virtio0 to virtio15, sata0 to sata5, ide0 to ide3",
  pattern: "^(scsi([0-9]|[12][0-9]|30)|virtio([0-9]|1[0-5])|sata[0-5]|ide[0-3])$",
} as const;

export const MOUNT_SLOTS = {
  what: "mount slot",
  allowed: "mp0 to mp255",
  pattern: "^mp([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])$",
} as const;
