import { Dispatcher } from "undici";
import { ConnectError } from "../../src/pve/tls.js";
import type { Simulator } from "../../src/simulator/index.js";
import type { FakeClock } from "./fake-clock.js";

type Handler = Parameters<Dispatcher["dispatch"]>[1];

/**
 * Carries a client's requests to a simulator in this process, on a clock of its own: the same log and faults as over
 * HTTPS, and the errors that undici gives there. Timeouts pass in the clock's time.
 */
export class SimulatorDispatcher extends Dispatcher {
  #isDead = false;
  #kill: (value: "dead") => void = () => undefined;
  readonly #killed = new Promise<"dead">((resolve) => (this.#kill = resolve));

  constructor(
    private readonly simulator: Simulator,
    private readonly clock: FakeClock,
  ) {
    super();
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Handler): boolean {
    void this.#carry(options, handler);
    return true;
  }

  /** Nothing goes out any more and no answer comes in: the process that it belongs to is dead. */
  override destroy(): Promise<void> {
    this.#isDead = true;
    this.#kill("dead");
    return Promise.resolve();
  }

  async #carry(options: Dispatcher.DispatchOptions, handler: Handler): Promise<void> {
    const controller = new Controller();
    const fail = (error: Error): void => handler.onResponseError?.(controller, error);
    await Promise.resolve();
    if (this.#isDead) return fail(new Error("dead"));
    const body = typeof options.body === "string" ? Buffer.from(options.body) : Buffer.alloc(0);
    const answer = this.simulator.exchange({
      method: options.method,
      url: options.path,
      headers: options.headers as Record<string, string>,
      body,
    });
    if (answer === undefined)
      return fail(new ConnectError(Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })));
    handler.onRequestStart?.(controller, {});
    const ms = options.headersTimeout ?? 300_000;
    let stop: () => void = () => undefined;
    const late = new Promise<"late">((resolve) => (stop = this.clock.after(ms, () => resolve("late"))));
    const delivery = await Promise.race([answer, late, controller.ended, this.#killed]);
    stop();
    if (delivery === "aborted") return;
    if (delivery === "dead") return fail(new Error("dead"));
    if (delivery === "late") return fail(new Error("Headers Timeout Error"));
    if (delivery.cut === "before") return fail(new Error("other side closed"));
    const { status, reason, type, body: text } = delivery.answer;
    handler.onResponseStart?.(controller, status, type === null ? {} : { "content-type": type }, reason);
    const bytes = Buffer.from(text);
    if (delivery.cut === "middle") {
      handler.onResponseData?.(controller, bytes.subarray(0, bytes.length / 2));
      return fail(new Error("other side closed"));
    }
    handler.onResponseData?.(controller, bytes);
    handler.onResponseEnd?.(controller, {});
  }
}

/** What a handler is given to stop its request. */
class Controller implements Dispatcher.DispatchController {
  aborted = false;
  readonly paused = false;
  reason: Error | null = null;
  readonly rawHeaders = null;
  readonly rawTrailers = null;
  #end: (value: "aborted") => void = () => undefined;
  readonly ended = new Promise<"aborted">((resolve) => (this.#end = resolve));

  abort(reason: Error): void {
    Object.assign(this, { aborted: true, reason });
    this.#end("aborted");
  }

  pause(): void {
    return;
  }

  resume(): void {
    return;
  }
}
