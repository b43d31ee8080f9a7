import { Ajv } from "ajv";
import type { ErrorObject, ValidateFunction } from "ajv";
import { parseQuantity } from "../model/quantity.js";
import type { Kind } from "../model/ref.js";
import { FORMATS } from "./formats.js";
import type { TextFormat } from "./formats.js";
import type { QuantityRule } from "./schema/build.js";
import { KIND_SCHEMAS } from "./schema/index.js";

let compiled: Readonly<Record<Kind, ValidateFunction>> | undefined;

/** Every error ajv finds in a document of one kind. */
export function schemaErrors(kind: Kind, value: unknown): readonly ErrorObject[] {
  // compiling takes 50 ms: not for commands that read no manifest
  compiled ??= compile();
  const validate = compiled[kind];
  return validate(value) ? [] : (validate.errors ?? []);
}

function compile(): Readonly<Record<Kind, ValidateFunction>> {
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: true, allowUnionTypes: true, strictRequired: true });
  for (const [name, format] of Object.entries<TextFormat>(FORMATS)) ajv.addFormat(name, format.check ?? true);
  ajv.addVocabulary(["keys"]);
  ajv.addKeyword({ keyword: "quantity", errors: true, compile: quantityCheck });
  return { VirtualMachine: ajv.compile(KIND_SCHEMAS.VirtualMachine), Container: ajv.compile(KIND_SCHEMAS.Container) };
}

function quantityCheck(rule: QuantityRule): (data: unknown) => boolean {
  return (data) => {
    if (typeof data !== "string" && typeof data !== "number") return true;
    const bytes = parseQuantity(data);
    return bytes !== undefined && bytes >= rule.minimum && bytes % rule.step === 0;
  };
}
