import { Ajv } from "ajv";
import type { ErrorObject, ValidateFunction } from "ajv";

/** Something in PVE's answers that is not as its API documents it. Nothing is lost by it: what can be read is used. */
export interface Oddity {
  /** The call as PVE's API viewer names it: `GET /nodes/{node}/qemu`. */
  readonly endpoint: string;
  /** `status`; the empty text: the whole row. */
  readonly field: string;
  /** `is missing`, `must be string`. */
  readonly problem: string;
  /** Where it was seen first: `/nodes/pve1/qemu`. */
  readonly path: string;
}

type Schema = Readonly<Record<string, unknown>>;

const TEXT: Schema = { type: "string" };
/** PVE's Perl gives a number as a text where it was one before. */
const NUMBER: Schema = { type: ["number", "string"], pattern: "^-?\\d+(\\.\\d+)?([eE][+-]?\\d+)?$" };
const ANY_TEXT: Schema = { type: ["number", "string"] };
const FLAG: Schema = { type: ["number", "string", "boolean"] };

const row = (required: readonly string[], properties: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  required,
  properties,
});

const FIGURES = { maxcpu: NUMBER, cpu: NUMBER, maxmem: NUMBER, mem: NUMBER, uptime: NUMBER };
const GUEST = row(["vmid", "status"], {
  ...FIGURES,
  vmid: NUMBER,
  status: TEXT,
  name: TEXT,
  tags: TEXT,
  lock: TEXT,
  template: FLAG,
  cpus: NUMBER,
  maxdisk: NUMBER,
  disk: NUMBER,
  netin: NUMBER,
  netout: NUMBER,
  pid: NUMBER,
});
const GUEST_PENDING = row(["key"], { key: TEXT, value: ANY_TEXT, pending: ANY_TEXT, delete: NUMBER });

/**
 * What is read of one row of each answer. Fields that are not listed may come: configurations are kept whole, since
 * every key is data there.
 */
const SCHEMAS: Readonly<Record<string, Schema>> = {
  "/nodes": row(["node", "status"], { ...FIGURES, node: TEXT, status: TEXT }),
  "/nodes/{node}/qemu": GUEST,
  "/nodes/{node}/lxc": GUEST,
  "/nodes/{node}/qemu/{vmid}/pending": GUEST_PENDING,
  "/nodes/{node}/lxc/{vmid}/pending": GUEST_PENDING,
  "/nodes/{node}/storage": row(["storage", "type"], {
    storage: TEXT,
    type: TEXT,
    active: FLAG,
    shared: FLAG,
    total: NUMBER,
    used: NUMBER,
    avail: NUMBER,
  }),
  "/storage": row(["storage", "type"], { storage: TEXT, type: TEXT, content: TEXT, path: TEXT, disable: FLAG }),
  "/cluster/resources": {
    ...row(["type"], { type: TEXT, pool: TEXT, hastate: TEXT, vmid: NUMBER, node: TEXT, storage: TEXT }),
    if: { properties: { type: { enum: ["qemu", "lxc"] } } },
    then: { required: ["vmid", "node"] },
    else: { if: { properties: { type: { const: "storage" } } }, then: { required: ["storage", "node"] } },
  },
};

/** `/nodes/pve1/qemu/101/pending` → `/nodes/{node}/qemu/{vmid}/pending`. */
function endpointOf(path: string): string {
  return path.replace(/^\/nodes\/[^/]+/, "/nodes/{node}").replace(/\/(qemu|lxc)\/\d+/, "/$1/{vmid}");
}

/** Checks answers as they enter and tells each oddity once: ten thousand guests may have the same one. */
export class AnswerCheck {
  private readonly ajv = new Ajv({ allErrors: true, allowUnionTypes: true, strictRequired: false });
  private readonly compiled = new Map<string, ValidateFunction | undefined>();
  private readonly told = new Set<string>();

  constructor(private readonly report: (oddity: Oddity) => void) {}

  /** Every row of a list; what is no list is an error elsewhere. */
  rows(data: unknown, path: string): void {
    const endpoint = endpointOf(path);
    const validate = this.validator(endpoint);
    if (validate === undefined || !Array.isArray(data)) return;
    for (const item of data) {
      if (validate(item)) continue;
      for (const error of validate.errors ?? []) this.tell(error, { endpoint, path });
    }
  }

  private validator(endpoint: string): ValidateFunction | undefined {
    if (!this.compiled.has(endpoint)) {
      const schema = SCHEMAS[endpoint];
      this.compiled.set(endpoint, schema === undefined ? undefined : this.ajv.compile(schema));
    }
    return this.compiled.get(endpoint);
  }

  private tell(error: ErrorObject, at: { readonly endpoint: string; readonly path: string }): void {
    // "if" fails along with what it leads to.
    if (error.keyword === "if") return;
    const missing =
      error.keyword === "required" ? (error.params as { missingProperty: string }).missingProperty : undefined;
    const field = missing ?? error.instancePath.slice(1);
    const problem = missing === undefined ? (error.message ?? "is odd") : "is missing";
    const key = `${at.endpoint} ${field} ${problem}`;
    if (this.told.has(key)) return;
    this.told.add(key);
    this.report({ endpoint: `GET ${at.endpoint}`, field, problem, path: at.path });
  }
}
