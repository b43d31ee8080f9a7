import type { Clock } from "../apply/ports.js";
import { loadConfig, requirePve, type Config } from "../config/config.js";
import type { EventRecord } from "../apply/types.js";
import { createPve, type Oddity, type Pve } from "../pve/index.js";
import {
  openStore,
  parseDatabaseUrl,
  type Store,
  type StoreEvent,
  type StoreOptions,
  type StoreSettings,
} from "../store/index.js";
import { systemClock } from "./clock.js";
import type { Io } from "./io.js";
import { toJson } from "./output/json.js";

/** The options every command that talks to PVE or the database has. */
export interface GlobalOptions {
  readonly context?: string;
  readonly endpoint?: string;
  readonly apiTokenFile?: string;
  readonly username?: string;
  readonly caFile?: string;
  readonly fingerprint?: string;
  readonly insecure?: boolean;
  readonly database?: string;
}

/** Adapters joined: the one place where ports meet their implementations. */
export interface Session {
  readonly config: Config;
  readonly store: Store;
  readonly clock: Clock;
  /** Connects on first use, so that commands that only read the database need no PVE. */
  pve(): Pve;
  close(): Promise<void>;
}

/** Flags, context file and environment of this call. */
export function configOf(options: GlobalOptions, io: Io): Config {
  const flags = { ...options, insecure: options.insecure === undefined ? undefined : String(options.insecure) };
  return loadConfig({ flags, env: io.env });
}

/** How the database is reached. */
export interface StoreAccess {
  readonly config: Config;
  readonly settings: StoreSettings;
  readonly options: StoreOptions;
}

/** What the settings say of the database; opens nothing. Throws DB_CONFIG, CONFIG_CONFLICT. */
export function storeAccess(options: GlobalOptions, io: Io): StoreAccess {
  const config = configOf(options, io);
  const { database } = config;
  const settings = { ...parseDatabaseUrl(database.url(), database.provider), logging: database.logging };
  const level = database.logLevel ?? (database.logging ? "debug" : "warn");
  return { config, settings, options: { now: () => systemClock.now(), log: (event) => logStore(event, level, io) } };
}

/** Opens the database (and migrates it where needed) and prepares PVE. Close it in any case. */
export async function openSession(options: GlobalOptions, io: Io): Promise<Session> {
  const { config, settings, options: storeOptions } = storeAccess(options, io);
  const store = await openStore(settings, storeOptions);
  if (store.backupFile !== undefined)
    io.err(`The database was migrated; a backup from before is ${store.backupFile}\n`);
  let pve: Pve | undefined;
  const told: Promise<void>[] = [];
  // A log of events that fails must not fail what it tells of.
  const report = (oddity: Oddity) => void told.push(store.events.record(oddEvent(oddity)).catch(() => undefined));
  return {
    config,
    store,
    clock: systemClock,
    pve: () => (pve ??= connect(config, io, report)),
    close: async () => {
      await pve?.close();
      await Promise.all(told);
      await store.close();
    },
  };
}

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** What the database layer tells, from DB_LOG_LEVEL upwards, as JSON lines on standard error. */
function logStore(event: StoreEvent, level: string, io: Io): void {
  if (LEVELS.indexOf(event.level) >= LEVELS.findIndex((one) => one === level)) io.err(`${toJson(event, true)}\n`);
}

function oddEvent({ endpoint, field, problem, path }: Oddity): EventRecord {
  const what = field === "" ? "a row" : field;
  const message = `PVE's answer to ${endpoint} is not as documented: ${what} ${problem} (seen at ${path})`;
  return { time: systemClock.now(), type: "Warning", reason: "UnexpectedAnswer", message };
}

function connect(config: Config, io: Io, report: (oddity: Oddity) => void): Pve {
  const { endpoint, auth, tls } = requirePve(config);
  if (tls.insecure)
    io.err(
      "Warning: TLS verification is off (insecure): anybody on the way can read and change what is sent, the token too.\n",
    );
  return createPve({ endpoint, auth, tls }, { report });
}
