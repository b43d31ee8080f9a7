import { setTimeout as delay } from "node:timers/promises";

import { Pool } from "undici";
import type { Dispatcher } from "undici";

import { messageOf, ProxmoorError } from "../model/errors.js";
import { dataOf, pathOnly, pveText, subjectOf } from "./answer.js";
import { createAuthenticator } from "./auth.js";
import type { Authenticator } from "./auth.js";
import { isTransient } from "./error-texts.js";
import { exchange, ExchangeError } from "./exchange.js";
import type { WireAnswer, WireRequest } from "./exchange.js";
import { DEFAULT_CONCURRENCY, DEFAULT_RETRY, DEFAULT_TIMEOUTS, parseEndpoint } from "./settings.js";
import type { PveDeps, PveSettings } from "./settings.js";
import { ConnectError, connectFailure, createConnector } from "./tls.js";

export type Params = Readonly<Record<string, string | number>>;

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the answer begins, instead of the settings'. */
  readonly timeoutMs?: number | undefined;
  /** Tries in all, instead of the settings'. */
  readonly tries?: number | undefined;
}

/** PVE's API over HTTPS: paths without `/api2/json`, answers without their envelope. */
export interface PveClient {
  /** Reads, again and again where that may help (bounded). */
  get(path: string, params?: Params, options?: ReadOptions): Promise<unknown>;
  /**
   * Sends a write once; again only where it surely was never sent (no connection). One that was refused because the
   * log-in had ended fails with PVE_AUTH, `retry: "later"`, once there is a new log-in: who sent it looks before it is
   * sent again.
   */
  write(method: "POST" | "PUT" | "DELETE", path: string, params: Params, signal?: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
}

/** PVE closes idle connections after 5 s and any after 100 requests (FACTS.md, "Transport"); ours go first. */
const KEEP_ALIVE_MS = 4_000;
const REQUESTS_PER_CONNECTION = 99;

/** Parameters whose values are struck from errors, since PVE may repeat what it refuses. */
const SECRET_PARAMS = new Set(["cipassword", "password"]);

interface Call {
  readonly method: WireRequest["method"];
  readonly path: string;
  readonly params: Params;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly tries?: number | undefined;
  /** Log-ins carry no credentials of their own, and are repeated like reads. */
  readonly anonymous: boolean;
}

/**
 * A client of one PVE host.
 *
 * @throws ProxmoorError CONFIG_INVALID for an endpoint or fingerprint that is none.
 */
export function createPveClient(settings: PveSettings, deps: PveDeps = {}): PveClient {
  const { origin, host } = parseEndpoint(settings.endpoint);
  const timeouts = { ...DEFAULT_TIMEOUTS, ...settings.timeouts };
  const pool =
    deps.dispatcher ??
    new Pool(origin, {
      connections: settings.concurrency ?? DEFAULT_CONCURRENCY,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxRequestsPerClient: REQUESTS_PER_CONNECTION,
      connect: createConnector(settings.tls ?? {}, timeouts.connect),
    });
  const caller = new Caller(pool, host, settings, deps);
  return {
    get: (path, params = {}, options = {}) =>
      caller.call({
        method: "GET",
        path,
        params,
        signal: options.signal,
        timeoutMs: options.timeoutMs ?? timeouts.headers,
        tries: options.tries,
        anonymous: false,
      }),
    write: (method, path, params, signal) =>
      caller.call({ method, path, params, signal, timeoutMs: timeouts.writeHeaders, anonymous: false }),
    close: () => pool.destroy(),
  };
}

/** Sends calls: log-in, tries, and the errors of what came back. */
class Caller {
  private readonly auth: Authenticator;
  private readonly now: () => number;
  private readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  private readonly random: () => number;
  private readonly retry;
  private readonly timeouts;

  constructor(
    private readonly pool: Dispatcher,
    private readonly host: string,
    settings: PveSettings,
    deps: PveDeps,
  ) {
    this.now = deps.now ?? Date.now;
    this.sleep = deps.sleep ?? ((ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }));
    this.random = deps.random ?? Math.random;
    this.retry = { ...DEFAULT_RETRY, ...settings.retry };
    this.timeouts = { ...DEFAULT_TIMEOUTS, ...settings.timeouts };
    this.auth = createAuthenticator(settings.auth, (params) => this.logIn(params), this.now);
  }

  async call(call: Call): Promise<unknown> {
    const started = this.now();
    for (let attempt = 1; ; attempt += 1) {
      call.signal?.throwIfAborted();
      const outcome = await this.attempt(call);
      if ("data" in outcome) return outcome.data;
      const spent = attempt >= (call.tries ?? this.retry.attempts) || this.now() - started >= this.retry.budgetMs;
      if (!outcome.again || spent) throw outcome.error;
      const ms = this.random() * Math.min(this.retry.capMs, this.retry.baseMs * 2 ** attempt);
      await this.pause(ms, call.signal);
    }
  }

  private async pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.sleep(ms, signal);
    } catch (error) {
      // timers reject with an error of their own; whoever aborted is told his reason
      signal?.throwIfAborted();
      throw error;
    }
  }

  /** One try; of a read a second one right away where the log-in was refused and there is a new one to use. */
  private async attempt(call: Call): Promise<{ data: unknown } | { error: unknown; again: boolean }> {
    let headers: Readonly<Record<string, string>> = {};
    try {
      if (!call.anonymous) headers = await abortable(this.auth.headers(call.method !== "GET"), call.signal);
      let answer = await this.send(call, headers);
      if (answer.status === 401 && !call.anonymous && (await abortable(this.auth.renew(headers), call.signal))) {
        if (!this.isRead(call)) return { error: this.renewed(call, answer), again: false };
        headers = await abortable(this.auth.headers(call.method !== "GET"), call.signal);
        answer = await this.send(call, headers);
      }
      return this.judge(call, answer);
    } catch (error) {
      if (!(error instanceof ExchangeError)) return { error, again: false };
      return this.failure(call, error);
    }
  }

  private judge(call: Call, answer: WireAnswer): { data: unknown } | { error: unknown; again: boolean } {
    try {
      const request = { method: call.method, path: call.path };
      return { data: dataOf(answer, { request, host: this.host, redact: (text) => this.redact(text, call.params) }) };
    } catch (error) {
      return { error, again: this.isRead(call) && isTransient(answer.status, pveText(answer)) };
    }
  }

  private renewed(call: Call, answer: WireAnswer): ProxmoorError {
    const said = this.redact(pveText(answer), call.params);
    return new ProxmoorError("PVE_AUTH", `the log-in had ended and there is a new one now: ${said}`, {
      subject: subjectOf(call.path, this.host),
      retry: "later",
      remedy: "Run again.",
      facts: { method: call.method, path: call.path },
    });
  }

  /** No whole answer: surely not sent, perhaps taken, or ended by the caller. */
  private failure(call: Call, { reason, sent }: ExchangeError): { error: unknown; again: boolean } {
    if (reason instanceof ConnectError) {
      const error = connectFailure(reason, this.host);
      return { error, again: error.retry === "later" };
    }
    const isAbort = call.signal?.aborted === true;
    if (isAbort && (!sent || this.isRead(call))) return { error: call.signal?.reason ?? reason, again: false };
    const why = this.redact(messageOf(reason), call.params);
    if (this.isRead(call) || !sent) {
      const error = new ProxmoorError("PVE_UNREACHABLE", `${this.host} gave no answer: ${why}`, {
        subject: subjectOf(call.path, this.host),
        retry: "later",
        facts: { method: call.method, path: call.path },
      });
      return { error, again: true };
    }
    const error = new ProxmoorError(
      "PVE_NO_ANSWER",
      `${call.method} ${pathOnly(call.path)} was sent to ${this.host}, but no answer came: ${why}`,
      {
        subject: subjectOf(call.path, this.host),
        retry: "later",
        remedy: "Look at the guest and at PVE's task list before it is sent again.",
        facts: { method: call.method, path: call.path },
      },
    );
    return { error, again: false };
  }

  private isRead(call: Call): boolean {
    return call.method === "GET" || call.anonymous;
  }

  private send(call: Call, headers: Readonly<Record<string, string>>): Promise<WireAnswer> {
    const form = new URLSearchParams();
    for (const [key, value] of Object.entries(call.params)) form.set(key, String(value));
    const encoded = form.toString();
    const hasBody = call.method === "POST" || call.method === "PUT";
    const query = hasBody || encoded === "" ? "" : `?${encoded}`;
    const request: WireRequest = {
      method: call.method,
      path: `/api2/json${call.path}${query}`,
      headers: {
        accept: "application/json",
        ...headers,
        ...(hasBody
          ? {
              "content-type": "application/x-www-form-urlencoded",
              "content-length": String(Buffer.byteLength(encoded)),
            }
          : {}),
      },
      body: hasBody ? encoded : undefined,
      headersTimeout: call.timeoutMs,
      bodyTimeout: this.timeouts.body,
    };
    return exchange(this.pool, request, call.signal);
  }

  private async logIn(params: Readonly<Record<string, string>>): Promise<{ ticket: string; csrf: string }> {
    const data = await this.call({
      method: "POST",
      path: "/access/ticket",
      params,
      signal: undefined,
      timeoutMs: this.timeouts.headers,
      anonymous: true,
    });
    const { ticket, CSRFPreventionToken: csrf, NeedTFA: second } = (data ?? {}) as Record<string, unknown>;
    if (second !== undefined && second !== 0) {
      throw new ProxmoorError("PVE_AUTH", `the log-in of ${params["username"] ?? "?"} needs a second factor`, {
        subject: this.host,
        remedy: "Use an API token instead of a password.",
      });
    }
    if (typeof ticket === "string" && typeof csrf === "string") return { ticket, csrf };
    throw new ProxmoorError("PVE_ANSWER", `${this.host} answered the log-in without a ticket`, { subject: this.host });
  }

  private redact(text: string, params: Params): string {
    const values = Object.entries(params).flatMap(([key, value]) => (SECRET_PARAMS.has(key) ? [String(value)] : []));
    return [...this.auth.secrets(), ...values]
      .filter((secret) => secret.length > 3)
      .sort((a, b) => b.length - a.length)
      .reduce((cleaned, secret) => cleaned.replaceAll(secret, "***"), text);
  }
}

/** Waits for something that others wait for too, so that only the waiting can be given up, not the thing. */
function abortable<T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return shared;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    shared.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
  });
}
