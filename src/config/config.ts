import { readFileSync } from "node:fs";
import path from "node:path";
import { ProxmoorError } from "../model/errors.js";
import { parseContextFile, type ContextFile } from "./context-file.js";
import { asBoolean, find, findSecret, type Found, type FoundSecret, type Sources } from "./settings.js";

/** How PVE is reached. Secrets are functions, read when needed, so that files can be rotated and nothing prints them. */
export interface PveConfig {
  readonly endpoint: string;
  readonly auth:
    | { readonly kind: "token"; readonly token: () => string }
    | { readonly kind: "ticket"; readonly username: string; readonly password: () => string };
  readonly tls: { readonly ca?: string; readonly fingerprint?: string; readonly insecure: boolean };
}

/** Everything that flags, context file and environment say, frozen. */
export interface Config {
  /** undefined where no endpoint is set; `requirePve` throws then. */
  readonly pve: (() => PveConfig) | undefined;
  readonly database: {
    readonly url: () => string;
    readonly provider?: string;
    readonly logging: boolean;
    readonly logLevel?: "debug" | "info" | "warn" | "error";
  };
  readonly context?: string;
}

export interface ConfigInput {
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile?: (path: string) => string;
}

const TOKEN = /^[^\s@!=]+@[^\s@!=]+![^\s@!=]+=[^\s]+$/;

/** Flags over the context file over the environment. Throws CONFIG_INVALID, CONFIG_CONFLICT, CONFIG_MISSING. */
export function loadConfig({ flags, env, readFile = (file) => readFileSync(file, "utf8") }: ConfigInput): Config {
  const context = chooseContext(flags["context"], env, readFile);
  const sources: Sources = { flags, context, env };
  const url = findSecret({ flag: "database", key: "databaseUrl", env: "DATABASE_URL" }, sources, readFile);
  const provider = find({ key: "databaseProvider", env: "DATABASE_PROVIDER" }, sources)?.value;
  const logging = asBoolean(find({ key: "", env: "ENABLE_DB_LOGGING" }, sources));
  const logLevel = levelOf(find({ key: "", env: "DB_LOG_LEVEL" }, sources)?.value, logging);
  const endpoint = find({ flag: "endpoint", key: "endpoint", env: "PROXMOX_VE_ENDPOINT" }, sources);
  return Object.freeze<Config>({
    pve: endpoint && (() => pveConfig(endpoint.value, sources, readFile)),
    database: Object.freeze({
      url: url?.read ?? (() => "file:./proxmoor.db"),
      logging: logging ?? false,
      ...(provider !== undefined && { provider }),
      ...(logLevel !== undefined && { logLevel }),
    }),
    ...(context && { context: context.name }),
  });
}

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** Statements are told at the level debug, so a higher one contradicts ENABLE_DB_LOGGING. */
function levelOf(text: string | undefined, logging: boolean | undefined): (typeof LEVELS)[number] | undefined {
  const level = LEVELS.find((one) => one === text);
  if (logging === true && level !== undefined && level !== "debug")
    throw new ProxmoorError(
      "CONFIG_CONFLICT",
      `ENABLE_DB_LOGGING asks for every statement, DB_LOG_LEVEL ${level} hides them`,
      { remedy: "Set DB_LOG_LEVEL to debug or leave it out; or leave ENABLE_DB_LOGGING out." },
    );
  if (text === undefined || level !== undefined) return level;
  throw new ProxmoorError("CONFIG_INVALID", `DB_LOG_LEVEL is ${JSON.stringify(text)}`, {
    remedy: `Levels are ${LEVELS.join(", ")}.`,
  });
}

/** The PVE settings. Throws CONFIG_MISSING with the ways to give them. */
export function requirePve(config: Config): PveConfig {
  if (config.pve) return config.pve();
  throw new ProxmoorError("CONFIG_MISSING", "no PVE endpoint is set", {
    remedy:
      "Set PROXMOX_VE_ENDPOINT and PROXMOX_VE_API_TOKEN, or name a context (--context). To try without a cluster: `proxmoor simulator` prints settings for one.",
  });
}

function chooseContext(
  wanted: string | undefined,
  env: ConfigInput["env"],
  readFile: (path: string) => string,
): Sources["context"] {
  const file = readContexts(env, readFile);
  const name = wanted ?? file?.currentContext;
  if (name === undefined) return undefined;
  const values = file && Object.hasOwn(file.contexts, name) ? file.contexts[name] : undefined;
  if (values) return { name, values };
  const known = Object.keys(file?.contexts ?? {});
  throw new ProxmoorError("CONFIG_INVALID", `there is no context "${name}"${file ? ` in ${file.path}` : ""}`, {
    remedy: known.length > 0 ? `Contexts are ${known.sort().join(", ")}.` : `Write it into ${contextPath(env)}.`,
  });
}

/** An empty variable is one that is not set. */
function setting(env: ConfigInput["env"], name: string): string | undefined {
  return env[name] === "" ? undefined : env[name];
}

function contextPath(env: ConfigInput["env"]): string {
  const explicit = setting(env, "PROXMOOR_CONFIG");
  if (explicit !== undefined) return explicit;
  const base = setting(env, "XDG_CONFIG_HOME") ?? path.join(env["HOME"] ?? env["USERPROFILE"] ?? ".", ".config");
  return path.join(base, "proxmoor", "config.yaml");
}

function readContexts(env: ConfigInput["env"], readFile: (path: string) => string): ContextFile | undefined {
  const file = contextPath(env);
  let text: string;
  try {
    text = readFile(file);
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (isMissing && setting(env, "PROXMOOR_CONFIG") === undefined) return undefined;
    throw new ProxmoorError("CONFIG_INVALID", `${file} can't be read`, { cause: error });
  }
  return parseContextFile(file, text);
}

function pveConfig(given: string, sources: Sources, readFile: (path: string) => string): PveConfig {
  const caFile = find({ flag: "caFile", key: "caFile", env: "PROXMOX_VE_CA_FILE" }, sources);
  const fingerprint = find({ flag: "fingerprint", key: "fingerprint", env: "PROXMOX_VE_FINGERPRINT" }, sources);
  const insecure = asBoolean(find({ flag: "insecure", key: "insecure", env: "PROXMOX_VE_INSECURE" }, sources)) ?? false;
  if (fingerprint && !/^([0-9a-f]{2}:?){31}[0-9a-f]{2}$/i.test(fingerprint.value))
    throw new ProxmoorError("CONFIG_INVALID", `${fingerprint.origin} is no SHA-256 fingerprint`, {
      remedy: "It has 64 hex digits, with or without colons; PVE shows it under Node → Certificates.",
    });
  return Object.freeze({
    endpoint: endpointOf(given),
    auth: authOf(sources, readFile),
    tls: Object.freeze({
      insecure,
      ...(fingerprint && { fingerprint: fingerprint.value }),
      ...(caFile && { ca: readText(caFile, readFile) }),
    }),
  });
}

function readText(file: { value: string; origin: string }, readFile: (path: string) => string): string {
  try {
    return readFile(file.value);
  } catch (error) {
    throw new ProxmoorError("CONFIG_INVALID", `${file.origin}: ${file.value} can't be read`, { cause: error });
  }
}

function endpointOf(given: string): string {
  let url: URL;
  try {
    url = new URL(given.includes("://") ? given : `https://${given}`);
  } catch {
    // no cause: Node's error holds the text, and the text perhaps a password
    throw new ProxmoorError("CONFIG_INVALID", "the endpoint is no URL", {
      remedy: "It looks like https://pve1.example.org:8006.",
    });
  }
  if (url.protocol !== "https:")
    throw new ProxmoorError("CONFIG_INVALID", `the endpoint must be https, not ${url.protocol.slice(0, -1)}`, {
      remedy: "PVE answers over TLS only.",
    });
  if (url.username !== "" || url.password !== "")
    throw new ProxmoorError("CONFIG_INVALID", "the endpoint must not hold a user or password", {
      remedy: "Use PROXMOX_VE_API_TOKEN, or PROXMOX_VE_USERNAME with PROXMOX_VE_PASSWORD.",
    });
  // a bare host means PVE's own port; a whole URL means what URLs mean, for those behind a reverse proxy
  const hasPort = /:\d+\/?$/.test(given);
  return given.includes("://") || hasPort ? `https://${url.host}` : `https://${url.hostname}:8006`;
}

/** The log-in of the highest rank; of one rank the token, as the bpg provider has it. */
function authOf(sources: Sources, readFile: (path: string) => string): PveConfig["auth"] {
  const token = findSecret({ flag: "apiToken", key: "apiToken", env: "PROXMOX_VE_API_TOKEN" }, sources, readFile);
  const username = find({ flag: "username", key: "username", env: "PROXMOX_VE_USERNAME" }, sources);
  // a token of the environment is not for the cluster that a context has its own user for
  if (token && (!username || token.rank <= username.rank)) return tokenAuth(token);
  const password = findSecret({ key: "password", env: "PROXMOX_VE_PASSWORD" }, sources, readFile);
  if (username && password) return ticketAuth(username, password);
  if (token) return tokenAuth(token);
  throw new ProxmoorError(
    "CONFIG_MISSING",
    username ? `no password is set for ${username.value}` : "no log-in for PVE is set",
    {
      remedy:
        "Set PROXMOX_VE_API_TOKEN (user@realm!id=secret), or PROXMOX_VE_USERNAME and PROXMOX_VE_PASSWORD; *_FILE variants read a file.",
    },
  );
}

function tokenAuth({ read, origin }: FoundSecret): PveConfig["auth"] {
  return {
    kind: "token",
    token: () => {
      const value = read();
      if (TOKEN.test(value)) return value;
      throw new ProxmoorError("CONFIG_INVALID", `${origin}: the API token has not the form user@realm!id=secret`, {
        remedy: "PVE shows id and secret when the token is made.",
      });
    },
  };
}

function ticketAuth(username: Found, password: FoundSecret): PveConfig["auth"] {
  if (!/^[^@\s]+@[^@\s]+$/.test(username.value))
    throw new ProxmoorError("CONFIG_INVALID", `${username.origin}: the user has not the form user@realm`, {
      remedy: "PVE's own users are in the realm pve, those of the machine in pam: root@pam.",
    });
  return { kind: "ticket", username: username.value, password: password.read };
}
