import type { Dispatcher } from "undici";

/** One request as it goes out. Paths begin with `/`; the query is part of it. */
export interface WireRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Milliseconds. */
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
}

export interface WireAnswer {
  readonly status: number;
  /** The reason phrase, in which PVE repeats its message. */
  readonly reason: string;
  readonly contentType: string;
  readonly body: string;
}

/** A request that got no whole answer. `sent`: it was given to a connection, so that the server may have taken it. */
export class ExchangeError extends Error {
  constructor(
    readonly reason: Error,
    readonly sent: boolean,
  ) {
    super(reason.message);
    this.name = "ExchangeError";
  }
}

/** Answers are small; a body beyond this is no PVE. */
const MAX_BODY = 64 * 2 ** 20;

/**
 * Sends one request and collects its answer. Uses undici's dispatch rather than `request`, since only the handler is
 * told when a request is given to a connection (`onRequestStart`), which is what tells "surely not sent" from "maybe".
 *
 * @throws ExchangeError where no whole answer came, aborts included.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: WireRequest,
  signal: AbortSignal | undefined,
): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let head = { status: 0, reason: "", contentType: "" };
    const chunks: Buffer[] = [];
    let size = 0;
    const onAbort = (): void => {
      const reason = asError(signal?.reason);
      controller?.abort(reason);
      fail(reason);
    };
    const fail = (reason: Error): void => {
      signal?.removeEventListener("abort", onAbort);
      reject(new ExchangeError(reason, controller !== undefined));
    };
    if (signal?.aborted === true) {
      reject(new ExchangeError(asError(signal.reason), false));
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    dispatcher.dispatch(
      { ...request, headers: { ...request.headers }, body: request.body ?? null },
      {
        onRequestStart(started) {
          if (signal?.aborted === true) started.abort(asError(signal.reason));
          else controller = started;
        },
        onResponseStart(_, status, headers, reason) {
          head = { status, reason: reason ?? "", contentType: String(headers["content-type"] ?? "") };
        },
        onResponseData(current, chunk) {
          size += chunk.length;
          if (size > MAX_BODY) current.abort(new Error(`the answer is larger than ${MAX_BODY} bytes`));
          else chunks.push(chunk);
        },
        onResponseEnd() {
          signal?.removeEventListener("abort", onAbort);
          resolve({ ...head, body: Buffer.concat(chunks).toString("utf8") });
        },
        onResponseError(_, error) {
          fail(error);
        },
      },
    );
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
