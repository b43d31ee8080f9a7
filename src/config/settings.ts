import { ProxmoorError } from "../model/errors.js";

export interface Found {
  readonly value: string;
  /** Where it came from, for messages: `--endpoint`, `context "lab" (endpoint)`, `PROXMOX_VE_ENDPOINT`. */
  readonly origin: string;
  /** 0 a flag, 1 the context file, 2 the environment: the smaller counts. */
  readonly rank: 0 | 1 | 2;
}

/** A secret that is read when it is needed, so that files can be rotated and nothing prints it. */
export interface FoundSecret extends Pick<Found, "origin" | "rank"> {
  readonly read: () => string;
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
  if (flag !== undefined && flag !== "") return { value: flag, origin: `--${kebab(name.flag ?? "")}`, rank: 0 };
  const inContext = sources.context?.values[name.key];
  if (inContext !== undefined && inContext !== null && inContext !== "") {
    if (typeof inContext !== "string" && typeof inContext !== "number" && typeof inContext !== "boolean")
      throw new ProxmoorError("CONFIG_INVALID", `context "${sources.context?.name ?? ""}": ${name.key} must be a text`);
    return { value: String(inContext), origin: `context "${sources.context?.name ?? ""}" (${name.key})`, rank: 1 };
  }
  const env = sources.env[name.env];
  return env === undefined || env === "" ? undefined : { value: env, origin: name.env, rank: 2 };
}

/**
 * A secret by value or by file (`NAME_FILE`, `keyFile`), read when it is needed so that files can be rotated.
 * Throws CONFIG_CONFLICT where one place gives both.
 */
export function findSecret(
  name: SettingName,
  sources: Sources,
  readFile: (path: string) => string,
): FoundSecret | undefined {
  const fileName = {
    ...(name.flag !== undefined && { flag: `${name.flag}File` }),
    key: `${name.key}File`,
    env: `${name.env}_FILE`,
  };
  const direct = find(name, sources);
  const file = find(fileName, sources);
  if (direct && file && direct.rank === file.rank)
    throw new ProxmoorError("CONFIG_CONFLICT", `${direct.origin} and ${file.origin} are both set`, {
      remedy: "Keep one of them.",
    });
  if (direct && (!file || direct.rank < file.rank)) {
    const { value, origin, rank } = direct;
    return { origin, rank, read: () => value };
  }
  return file && { origin: file.origin, rank: file.rank, read: () => readSecret(file, readFile) };
}

function readSecret(file: Found, readFile: (path: string) => string): string {
  const remedy = "Name a file that this user may read.";
  let text: string;
  try {
    text = readFile(file.value);
  } catch (error) {
    throw new ProxmoorError("CONFIG_INVALID", `${file.origin}: ${file.value} can't be read`, { cause: error, remedy });
  }
  // editors end files with a line feed; blanks may belong to a password
  const secret = text.replace(/[\r\n]+$/, "");
  if (secret.trim() === "")
    throw new ProxmoorError("CONFIG_INVALID", `${file.origin}: ${file.value} is empty`, { remedy });
  return secret;
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
