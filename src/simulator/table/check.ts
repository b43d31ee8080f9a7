import { cpuModelFault, FORMATS } from "./formats.js";
import { splitString, StringFault, type Parts } from "./strings.js";
import { propertyString, type CallShape, type Properties, type Property } from "./table.js";

/** What a request brings: a text, or several under one name. */
export type Value = string | readonly string[];
export type Params = Record<string, Value>;
export type Faults = Record<string, string>;

const NOT_DEFINED = "property is not defined in schema and the schema does not allow additional properties";
const MISSING = "property is missing and it is not optional";
const INTEGER = /^[-+]?\d+$/;
const NUMBER = /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/;

/**
 * Checks a call's parameters as PVE's JSONSchema does (`check_object`): every complaint at once, by parameter.
 * Several values of one name are one list; the order of the checks of a value is PVE's.
 */
export function checkParams(params: Params, shape: Properties, open = false): Faults {
  const faults: Faults = {};
  checkObject(params, shape, { faults, prefix: "", open });
  return faults;
}

/**
 * The same for a whole call. PVE tells of what a variant's own parameters lack with the variant before the name,
 * and takes them for unknown when there is no such variant.
 */
export function checkCall(params: Params, shape: CallShape): Faults {
  const { variants } = shape;
  if (variants === undefined) return checkParams(params, shape.params, shape.open);
  const chosen = params[variants.by];
  const more = typeof chosen === "string" ? (variants.of[chosen] ?? {}) : {};
  const mine = (name: string): boolean => more[name] !== undefined;
  const pick = (inVariant: boolean): Params =>
    Object.fromEntries(Object.entries(params).filter(([name]) => mine(name) === inVariant));
  const faults = checkParams(pick(false), shape.params, shape.open);
  checkObject(pick(true), more, { faults, prefix: `oneOf[${String(chosen)}].`, open: false });
  return faults;
}

interface Where {
  readonly faults: Faults;
  readonly prefix: string;
  readonly open: boolean;
}

function checkObject(values: Params | Parts, shape: Properties, where: Where): void {
  const at = (name: string): string => where.prefix + name;
  for (const name of Object.keys(values)) {
    const property = shape[name];
    if (property === undefined) {
      if (!where.open) where.faults[at(name)] = NOT_DEFINED;
    } else if (property.needs !== undefined && values[property.needs] === undefined)
      where.faults[at(property.needs)] = `missing property required by '${at(name)}'`;
  }
  for (const [name, property] of relevant(values, shape)) {
    const value = values[name];
    if (value !== undefined && property.type === "array")
      checkArray(typeof value === "string" ? [value] : value, property, at(name), where.faults);
    else if (value !== undefined) {
      const fault = valueFault(value, property, at(name));
      if (fault !== undefined) where.faults[at(name)] = fault;
    } else if (!property.optional && where.faults[at(name)] === undefined) where.faults[at(name)] = MISSING;
  }
}

interface Sorted {
  readonly required: readonly string[];
  readonly places: ReadonlyMap<string, number>;
}

const shapes = new WeakMap<Properties, Sorted>();

/** A VM's shape has a thousand properties, a call gives a few: those and the required ones, in the shape's order. */
function relevant(values: Params | Parts, shape: Properties): [string, Property][] {
  const { required, places } = sorted(shape);
  const names = new Set([...required, ...Object.keys(values).filter((name) => places.has(name))]);
  const inOrder = [...names].sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
  return inOrder.flatMap((name): [string, Property][] => {
    const property = shape[name];
    return property === undefined ? [] : [[name, property]];
  });
}

function sorted(shape: Properties): Sorted {
  const found = shapes.get(shape);
  if (found !== undefined) return found;
  const own = Object.entries(shape).filter(([, property]) => property.alias === undefined);
  const made = {
    required: own.filter(([, property]) => property.optional !== true).map(([name]) => name),
    places: new Map(own.map(([name], index) => [name, index])),
  };
  shapes.set(shape, made);
  return made;
}

function valueFault(value: Value, property: Property, at: string): string | undefined {
  const text = typeof value === "string" ? value : value.join("\0");
  const type = typeFault(text, property);
  if (type !== undefined) return type;
  if (property.format !== undefined) {
    const wrong = formatFault(text, property.format, at);
    if (wrong !== undefined) return `invalid format - ${wrong}\n`;
  }
  if (property.pattern !== undefined && !wholeMatch(property.pattern).test(text))
    return "value does not match the regex pattern";
  return boundFault(text, property);
}

/** A list: each value by its number, as `map[0]`. */
function checkArray(values: readonly string[], property: Property, at: string, faults: Faults): void {
  if (property.items === undefined) return;
  for (const [index, value] of values.entries()) {
    const name = `${at}[${index}]`;
    const fault = valueFault(value, property.items, name);
    if (fault !== undefined) faults[name] = fault;
  }
}

function typeFault(text: string, property: Property): string | undefined {
  const wrong =
    (property.type === "integer" && !INTEGER.test(text)) ||
    (property.type === "number" && !NUMBER.test(text)) ||
    (property.type === "boolean" && text !== "0" && text !== "1");
  return wrong ? `type check ('${property.type ?? ""}') failed - got '${text}'` : undefined;
}

function boundFault(text: string, property: Property): string | undefined {
  if (property.maxLength !== undefined && text.length > property.maxLength)
    return `value may only be ${property.maxLength} characters long`;
  if (property.minLength !== undefined && text.length < property.minLength)
    return `value must be at least ${property.minLength} characters long`;
  if (NUMBER.test(text)) {
    if (property.max !== undefined && Number(text) > property.max)
      return `value must have a maximum value of ${property.max}`;
    if (property.min !== undefined && Number(text) < property.min)
      return `value must have a minimum value of ${property.min}`;
  }
  if (property.enum !== undefined && !property.enum.includes(text))
    return `value '${text}' does not have a value in the enumeration '${property.enum.join(", ")}'`;
  return undefined;
}

const patterns = new Map<string, RegExp>();

function wholeMatch(pattern: string): RegExp {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  // Perl's $ also matches before a final line feed
  const made = new RegExp(`^(?:${pattern})\\n?$`);
  patterns.set(pattern, made);
  return made;
}

/** PVE's list separators: comma, semicolon, blanks and the zero byte that joins repeated parameters. */
export function splitList(text: string): string[] {
  // eslint's control-character rule does not apply to a constructed pattern, and the zero byte is PVE's own
  return text.split(LIST_SEPARATOR).filter((part) => part !== "");
}
const LIST_SEPARATOR = new RegExp("[,;\\s\\0]+");

/** The text that a format refuses a value with; undefined when it is fine. */
function formatFault(text: string, format: string, at: string): string | undefined {
  const inline = format.startsWith("=") ? format.slice(1) : format;
  const shape = propertyString(inline);
  if (shape !== undefined) return stringFault(text, shape, { name: inline, at });
  const list = /^(.*)-a?list$/.exec(format);
  if (list !== null) {
    for (const part of splitList(text)) {
      const fault = formatFault(part, list[1] ?? "", at);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  const optional = /^(.*)-opt$/.exec(format);
  if (optional !== null) return text === "" ? undefined : formatFault(text, optional[1] ?? "", at);
  return FORMATS[format]?.(text);
}

function stringFault(text: string, shape: Properties, { name, at }: { name: string; at: string }): string | undefined {
  let parts: Parts;
  try {
    parts = splitString(text, shape);
  } catch (fault) {
    if (fault instanceof StringFault) return fault.message;
    throw fault;
  }
  const faults: Faults = {};
  checkObject(parts, shape, { faults, prefix: `${at}.`, open: false });
  if (Object.keys(faults).length > 0)
    return `format error\n${Object.entries(faults)
      .map(([key, fault]) => `${key}: ${fault}`)
      .join("\n")}`;
  if (name === "pve-vm-cpu-conf") return cpuModelFault(parts["cputype"]);
  if (name === "prune-backups" && parts["keep-all"] === "1" && Object.keys(parts).length > 1)
    return "keep-all cannot be set together with other options.";
  return undefined;
}

/** Takes a checked property string apart. */
export function partsOf(text: string, name: string): Parts {
  return splitString(text, propertyString(name) ?? {});
}
