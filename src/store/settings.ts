import { ProxmoorError } from "../model/errors.js";

export interface TlsSettings {
  /** As libpq's sslmode: `require` encrypts only (and checks when a CA is given), the others check the certificate. */
  readonly mode: "require" | "verify-ca" | "verify-full";
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

interface CommonSettings {
  /** Log every statement (never its parameters); left out: failed and slow ones only. */
  readonly logging?: boolean;
  /** Where backups before migrations go; left out: next to the SQLite file, or ~/.local/share/proxmoor/backups. */
  readonly backupFolder?: string;
  /** How long to wait for what another program has locked, ms; 60000 when left out. */
  readonly lockWaitMs?: number;
}

export interface SqliteSettings extends CommonSettings {
  readonly provider: "sqlite";
  /** A path, or `:memory:`. */
  readonly file: string;
}

export interface PostgresqlSettings extends CommonSettings {
  readonly provider: "postgresql";
  /** `postgresql://user:password@host:port/database`, without query parameters. */
  readonly url: string;
  readonly schema?: string;
  /** Connections at most, 10 when left out. */
  readonly poolSize?: number;
  readonly tls?: TlsSettings;
}

/** As what is not said otherwise. */
export const LOCK_WAIT_MS = 60_000;

export type StoreSettings = SqliteSettings | PostgresqlSettings;

/**
 * Reads `file:./proxmoor.db`, `file::memory:` or `postgresql://user:password@host:5432/database?sslmode=verify-full`
 * (also `schema`, `sslrootcert`, `sslcert`, `sslkey`, `pool_size`). Throws DB_CONFIG where it is neither, and
 * CONFIG_CONFLICT where `provider` says otherwise. The URL itself is in no message: it may hold a password.
 */
export function parseDatabaseUrl(url: string, provider?: string): StoreSettings {
  if (provider !== undefined && provider !== "sqlite" && provider !== "postgresql") {
    throw new ProxmoorError("DB_CONFIG", `DATABASE_PROVIDER is ${JSON.stringify(provider)}`, {
      remedy: "Set DATABASE_PROVIDER to sqlite or postgresql, or leave it out.",
    });
  }
  const settings = /^postgres(ql)?:\/\//i.test(url) ? parsePostgresql(url) : parseFile(url);
  if (provider !== undefined && provider !== settings.provider) {
    throw new ProxmoorError(
      "CONFIG_CONFLICT",
      `DATABASE_PROVIDER is ${provider}, but DATABASE_URL names a ${settings.provider} database`,
      { remedy: "Leave DATABASE_PROVIDER out, or change one of the two." },
    );
  }
  return settings;
}

function parseFile(url: string): SqliteSettings {
  const match = /^(?:file|sqlite):(.*)$/i.exec(url);
  if (!match) {
    throw new ProxmoorError("DB_CONFIG", "DATABASE_URL is neither file:PATH nor postgresql://…", {
      remedy: "Write file:./proxmoor.db for SQLite, postgresql://USER:PASSWORD@HOST/DATABASE for PostgreSQL.",
    });
  }
  const path = (match[1] ?? "").replace(/^\/\/(?=\/)/, "");
  if (path === "") throw new ProxmoorError("DB_CONFIG", "DATABASE_URL names no file", { remedy: "Write file:PATH." });
  if (path.includes("?")) {
    throw new ProxmoorError("DB_CONFIG", "DATABASE_URL has parameters after the file's path, which mean nothing here", {
      remedy: "Leave out the question mark and what follows it.",
    });
  }
  return { provider: "sqlite", file: decode(path) };
}

function parsePostgresql(text: string): PostgresqlSettings {
  // URL's own error carries its input, password included.
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) {
    throw new ProxmoorError("DB_CONFIG", "DATABASE_URL is not a valid URL", {
      remedy: "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE; signs such as @ / : # in the password as %40 …",
    });
  }
  if (url.pathname.length < 2) {
    throw new ProxmoorError("DB_CONFIG", "DATABASE_URL names no database", {
      remedy: "Write its name at the end: postgresql://USER:PASSWORD@HOST/DATABASE.",
    });
  }
  const known = new Map(url.searchParams);
  const take = (name: string): string | undefined => {
    const value = known.get(name);
    known.delete(name);
    return value;
  };
  const schema = take("schema");
  const poolSize = take("pool_size");
  const tls = parseTls(take);
  const [unknown] = known.keys();
  if (unknown !== undefined) {
    throw new ProxmoorError("DB_CONFIG", `DATABASE_URL has the parameter ${unknown}, which is not known`, {
      remedy: "Known are schema, pool_size, sslmode, sslrootcert, sslcert and sslkey.",
    });
  }
  url.search = "";
  return {
    provider: "postgresql",
    url: url.href,
    ...(schema === undefined ? {} : { schema }),
    ...(poolSize === undefined ? {} : { poolSize: parsePoolSize(poolSize) }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function parsePoolSize(text: string): number {
  const size = Number(text);
  // A unit of work holds one connection while a migration holds another.
  if (Number.isInteger(size) && size >= 2 && size <= 1000) return size;
  throw new ProxmoorError("DB_CONFIG", `The pool size is ${JSON.stringify(text)}`, {
    remedy: "Use a whole number from 2 to 1000.",
  });
}

function parseTls(take: (name: string) => string | undefined): TlsSettings | undefined {
  const mode = take("sslmode") ?? "disable";
  const files = { caFile: take("sslrootcert"), certFile: take("sslcert"), keyFile: take("sslkey") };
  const given = Object.fromEntries(Object.entries(files).filter(([, file]) => file !== undefined));
  if (mode === "require" || mode === "verify-ca" || mode === "verify-full") return { mode, ...given };
  if (mode !== "disable") {
    throw new ProxmoorError("DB_CONFIG", `DATABASE_URL has sslmode=${mode}`, {
      remedy: "Use disable, require, verify-ca or verify-full.",
    });
  }
  const [file] = Object.keys(given);
  if (file !== undefined) {
    throw new ProxmoorError("CONFIG_CONFLICT", "DATABASE_URL has sslrootcert, sslcert or sslkey, but no sslmode", {
      remedy: "Add sslmode=verify-full, or leave the files out.",
    });
  }
  return undefined;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
