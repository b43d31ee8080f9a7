import type { Dispatcher } from "undici";

import { ProxmoorError } from "../model/errors.js";
import type { Oddity } from "./answers.js";

/** A secret, or how to read it (again): files with secrets may rotate while the program runs. */
export type Secret = string | (() => string | Promise<string>);

export type PveAuth =
  /** `user@realm!id=secret`. */
  | { readonly kind: "token"; readonly token: Secret }
  /** `user@realm` and its password. */
  | { readonly kind: "ticket"; readonly username: string; readonly password: Secret };

export interface PveTls {
  /** PEM text of the CAs to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** SHA-256 of the server's certificate; colons and case don't matter. The chain is then not checked. */
  readonly fingerprint?: string | undefined;
  /** Accept any certificate. */
  readonly insecure?: boolean | undefined;
}

/** Milliseconds. */
export interface PveTimeouts {
  readonly connect: number;
  /** From the request to the answer's head; reads. */
  readonly headers: number;
  /**
   * The same for writes. PVE's proxy gives up after 30 s, but the contacted node's own calls may take longer: 10 s for
   * a lock and a container's file system check on resize.
   */
  readonly writeHeaders: number;
  /** Between two pieces of the answer's body. */
  readonly body: number;
}

export interface PveRetry {
  /** Tries in all, the first one included. */
  readonly attempts: number;
  /** The pause before try n is random between 0 and min(cap, base · 2ⁿ), milliseconds. */
  readonly baseMs: number;
  readonly capMs: number;
  /** No further try once this much time has passed, milliseconds. */
  readonly budgetMs: number;
}

export interface PveSettings {
  /** `https://host:8006`, with or without `/api2/json`. */
  readonly endpoint: string;
  readonly auth: PveAuth;
  readonly tls?: PveTls | undefined;
  readonly timeouts?: Partial<PveTimeouts> | undefined;
  /** Connections to the host, and so requests at the same time. */
  readonly concurrency?: number | undefined;
  readonly retry?: Partial<PveRetry> | undefined;
}

/** What the client needs of the world; the defaults are the real ones. */
export interface PveDeps {
  /** UTC milliseconds. */
  readonly now?: (() => number) | undefined;
  readonly sleep?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
  /** 0 ≤ x < 1. */
  readonly random?: (() => number) | undefined;
  /** Carries the requests instead of connections of our own; a failed connect is told as a ConnectError (tls.ts). */
  readonly dispatcher?: Dispatcher | undefined;
  /** Told what in PVE's answers is not as documented, each thing once. */
  readonly report?: ((oddity: Oddity) => void) | undefined;
}

export const DEFAULT_TIMEOUTS: PveTimeouts = { connect: 10_000, headers: 40_000, writeHeaders: 120_000, body: 40_000 };
export const DEFAULT_RETRY: PveRetry = { attempts: 4, baseMs: 250, capMs: 4_000, budgetMs: 20_000 };

/** 2,300 config reads a second over eight connections, no more over sixteen (FACTS.md, "Transport"). */
export const DEFAULT_CONCURRENCY = 8;

/**
 * The origin and API path of an endpoint.
 *
 * @throws ProxmoorError CONFIG_INVALID where it is no https URL of a PVE host.
 */
export function parseEndpoint(endpoint: string): { readonly origin: string; readonly host: string } {
  const url = URL.canParse(endpoint.trim()) ? new URL(endpoint.trim()) : undefined;
  const path = url?.pathname.replace(/\/+$/, "");
  if (url?.protocol !== "https:" || (path !== "" && path !== "/api2/json" && path !== "/api2")) {
    throw new ProxmoorError("CONFIG_INVALID", `${withoutLogin(endpoint)} is not the address of a PVE host`, {
      remedy: "Give it as https://HOST:8006.",
    });
  }
  if (url.username !== "" || url.password !== "") {
    throw new ProxmoorError("CONFIG_INVALID", "the endpoint holds a user name or password", {
      remedy: "Give the log-in in its own settings.",
    });
  }
  return { origin: url.origin, host: url.host };
}

function withoutLogin(endpoint: string): string {
  return endpoint.replace(/\/\/[^/]*@/, "//…@");
}

/**
 * A fingerprint as Node's TLS gives it: `AA:BB:…`, 32 bytes.
 *
 * @throws ProxmoorError CONFIG_INVALID where it is no SHA-256.
 */
export function parseFingerprint(fingerprint: string): string {
  const hex = fingerprint.replace(/^sha-?256[ :=]+/i, "").replace(/[:\s]/g, "");
  if (!/^[0-9a-f]{64}$/i.test(hex)) {
    throw new ProxmoorError("CONFIG_INVALID", "the certificate fingerprint is not a SHA-256: 64 hexadecimal digits", {
      remedy: "Take it from the node's certificate in PVE (System, Certificates), with or without colons.",
    });
  }
  return (hex.toUpperCase().match(/../g) ?? []).join(":");
}

/** Reads a secret (again), without the line end that a file has. */
export async function readSecret(secret: Secret): Promise<string> {
  return (typeof secret === "string" ? secret : await secret()).replace(/[\r\n]+$/, "");
}
