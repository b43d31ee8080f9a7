import { ProxmoorError } from "../model/errors.js";

/** Where a value came from, for messages: `--endpoint`, `context "lab"`, `PROXMOX_VE_ENDPOINT`. */
interface Found {
  readonly value: string;
  readonly origin: string;
}

/** What a lookup needs: flags beat the context file, the context file beats the environment. */
export interface Sources {
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly context: { readonly name: string; readonly values: Readonly<Record<string, unknown>> } | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One setting under its three names. */
export interface SettingName {
  /** The option as commander names it: `endpoint` for `--endpoint`. */
  readonly flag?: string;
  /** The key in a context of the context file. */
  readonly key: string;
  readonly env: string;
}

/** The first of flag, context and environment that has the setting; empty texts count as not set. */
export function find(name: SettingName, sources: Sources): Found | undefined {
  const flag = name.flag === undefined ? undefined : sources.flags[name.flag];
  if (flag !== undefined && flag !== "") return { value: flag, origin: `--${kebab(name.flag ?? "")}` };
  const inContext = sources.context?.values[name.key];
  if (inContext !== undefined && inContext !== null && inContext !== "") {
    if (typeof inContext !== "string" && typeof inContext !== "number" && typeof inContext !== "boolean")
      throw new ProxmoorError("CONFIG_INVALID", `context "${sources.context?.name ?? ""}": ${name.key} must be a text`);
    return { value: String(inContext), origin: `context "${sources.context?.name ?? ""}" (${name.key})` };
  }
  const env = sources.env[name.env];
  return env === undefined || env === "" ? undefined : { value: env, origin: name.env };
}

/**
 * A secret by value or by file (`NAME_FILE`, `keyFile`), read when it is needed so that files can be rotated.
 * Throws CONFIG_CONFLICT where one place gives both.
 */
export function findSecret(
  name: SettingName,
  sources: Sources,
  readFile: (path: string) => string,
): (() => string) | undefined {
  const fileName = {
    ...(name.flag !== undefined && { flag: `${name.flag}File` }),
    key: `${name.key}File`,
    env: `${name.env}_FILE`,
  };
  const direct = find(name, sources);
  const file = find(fileName, sources);
  if (direct && file && rank(direct) === rank(file))
    throw new ProxmoorError("CONFIG_CONFLICT", `${direct.origin} and ${file.origin} are both set`, {
      remedy: "Keep one of them.",
    });
  if (direct && (!file || rank(direct) < rank(file))) return () => direct.value;
  if (!file) return undefined;
  return () => readSecret(file, readFile);
}

function readSecret(file: Found, readFile: (path: string) => string): string {
  try {
    return readFile(file.value).trim();
  } catch (error) {
    throw new ProxmoorError("CONFIG_INVALID", `${file.origin}: ${file.value} can't be read`, {
      cause: error,
      remedy: "Name a file that this user may read.",
    });
  }
}

function rank(found: Found): number {
  return found.origin.startsWith("--") ? 0 : found.origin.startsWith("context") ? 1 : 2;
}

/** `1`, `true`, `yes`, `on` and their opposites. Throws CONFIG_INVALID for anything else. */
export function asBoolean(found: Found | undefined): boolean | undefined {
  if (!found) return undefined;
  if (/^(1|true|yes|on)$/i.test(found.value)) return true;
  if (/^(0|false|no|off)$/i.test(found.value)) return false;
  throw new ProxmoorError("CONFIG_INVALID", `${found.origin} must be true or false, not "${found.value}"`);
}

function kebab(flag: string): string {
  return flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
