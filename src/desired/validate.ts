import { compareRefs, parseRef } from "../model/ref.js";
import type { Kind } from "../model/ref.js";
import type { Fault } from "../model/fault.js";
import type { ManifestDocument } from "../manifests/index.js";
import { checkAcross } from "./across.js";
import type { Declared } from "./across.js";
import { explainErrors, explainKind } from "./explain.js";
import type { PathFault } from "./explain.js";
import { flattenSpec } from "./fields.js";
import { checkRules } from "./rules.js";
import { ADOPT } from "./schema/common.js";
import type { DesiredGuest, DesiredState, From, Lifecycle, Power } from "./types.js";
import { schemaErrors } from "./validator.js";

/** What the documents declare, and everything wrong with them. */
export interface Validated extends DesiredState {
  /** The guests without a fault, ordered by ref; only to be applied as a whole when there are no faults. */
  readonly guests: readonly DesiredGuest[];
  readonly faults: readonly Fault[];
}

/**
 * Checks documents against the schema and the rules across fields and guests, and turns them into desired guests. Pure;
 * throws nothing. Faults are told with their place, all in one go; a guest with a fault is left out of `guests`.
 */
export function validateManifests(documents: readonly ManifestDocument[]): Validated {
  const faults: Fault[] = [];
  const declared: Declared[] = [];
  for (const document of documents) {
    const found = checkDocument(document);
    for (const { path, part, message } of found) {
      faults.push({ code: "MANIFEST_INVALID", place: document.at(path, part), message });
    }
    if (found.length === 0) declared.push({ guest: toGuest(document), document });
  }
  const across = checkAcross(declared);
  const guests = declared.map(({ guest }) => guest).filter((guest) => !across.wrong.has(guest));
  return { guests: guests.sort((a, b) => compareRefs(a.ref, b.ref)), faults: [...faults, ...across.faults] };
}

function checkDocument({ value }: ManifestDocument): PathFault[] {
  const unknown = explainKind(value);
  if (unknown !== undefined) return [unknown];
  const document = value as Record<string, unknown>;
  const kind = document["kind"] as Kind;
  return [...explainErrors(kind, document, schemaErrors(kind, document)), ...checkRules(kind, document)];
}

/** The form of a document that passed every check. */
interface Manifest {
  readonly kind: Kind;
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly node: string;
    readonly vmid?: number;
    readonly power?: Power;
    readonly from?: Omit<From, "template"> & { readonly template: string | number };
    readonly lifecycle?: Partial<Lifecycle>;
    readonly dependsOn?: readonly string[];
  };
}

const LIFECYCLE: Lifecycle = { restart: "ask", prune: "delete", ignoreChanges: [], drift: "enforce" };

function toGuest(document: ManifestDocument): DesiredGuest {
  const { kind, metadata, spec } = document.value as Manifest;
  const { name, labels = {}, annotations = {} } = metadata;
  return {
    ref: { kind, name },
    place: document.at([]),
    labels,
    annotations,
    node: spec.node,
    ...(spec.vmid === undefined ? {} : { vmid: spec.vmid }),
    ...(spec.power === undefined ? {} : { power: spec.power }),
    ...(spec.from === undefined ? {} : { from: { ...spec.from, template: String(spec.from.template) } }),
    fields: flattenSpec(kind, name, spec),
    lifecycle: { ...LIFECYCLE, ...spec.lifecycle },
    dependsOn: (spec.dependsOn ?? []).flatMap((text) => parseRef(text) ?? []),
    adopt: annotations[ADOPT] === "true",
    spec,
  };
}
