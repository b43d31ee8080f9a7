import { Controller } from "../../src/controller/controller.js";
import type { ControllerOptions, ControllerPorts, DesiredSource, Log } from "../../src/controller/ports.js";
import { validateManifests } from "../../src/desired/index.js";
import type { StateStore } from "../../src/history/types.js";
import { parseManifestText } from "../../src/manifests/parse.js";
import type { Fault } from "../../src/model/fault.js";
import type { PlanPolicy } from "../../src/plan/types.js";
import { FakeProcess, type Lab } from "./fake-lab.js";

/** Manifest files in memory; `write` tells the watcher, as a file system does. */
export class FakeSource implements DesiredSource {
  readonly files = new Map<string, string>();
  /** Something can't be read: a folder that vanished. */
  isWhole = true;
  #changed: () => void = () => undefined;

  write(file: string, text: string | undefined): void {
    if (text === undefined) this.files.delete(file);
    else this.files.set(file, text);
    this.#changed();
  }

  read: DesiredSource["read"] = () => {
    const reads = [...this.files].map(([file, text]) => parseManifestText(text, file));
    const sound = reads.filter((read) => read.faults.length === 0).flatMap((read) => read.documents);
    const { guests, faults } = validateManifests(sound);
    const all: Fault[] = [...reads.flatMap((read) => read.faults), ...faults];
    return Promise.resolve({ desired: { guests }, faults: all, complete: this.isWhole });
  };

  watch(changed: () => void): Promise<() => Promise<void>> {
    this.#changed = changed;
    return Promise.resolve(() => Promise.resolve((this.#changed = () => undefined)).then(() => undefined));
  }

  covers(): boolean {
    return true;
  }
}

/** A controller on a lab's cluster, database and clock, with what it logged and counted. */
export class FakeController {
  readonly source: FakeSource;
  readonly log: string[] = [];
  readonly counts = new Map<string, number>();
  readonly stop = new AbortController();
  readonly loop: Controller;
  /** How `run` ended; undefined while it runs. */
  ended: string | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly lab: Lab,
    settings: {
      source?: FakeSource;
      policy?: Partial<PlanPolicy>;
      options?: Partial<ControllerOptions>;
      holder?: string;
      ports?: Partial<ControllerPorts>;
    } = {},
  ) {
    this.source = settings.source ?? new FakeSource();
    const { run: _run, ...apply } = lab.options({ holder: settings.holder ?? "controller-1" });
    const { replan: _replan, onEvent: _onEvent, ...ports } = lab.ports();
    const { reader } = lab.pve;
    const state = { sync: () => Promise.resolve() } as unknown as StateStore;
    this.loop = new Controller(
      {
        ...ports,
        reader: new FakeProcess(lab.clock).guard(reader),
        state,
        source: this.source,
        log: this.#logger(),
        metrics: {
          reconciled: (result) => this.#count(`reconciled ${result}`),
          polled: (result) => this.#count(`polled ${result}`),
          drift: (correction) => this.#count(`drift ${correction}`),
          gauges: () => undefined,
        },
        ...settings.ports,
      },
      {
        policy: lab.policy(settings.policy),
        apply,
        interval: 10_000,
        resyncEvery: 10,
        workers: 4,
        grace: 30_000,
        ...settings.options,
      },
    );
  }

  /** Starts the loop and lets some time pass. */
  async start(ms = 1000): Promise<this> {
    this.#running = this.loop.run(this.stop.signal).then(
      () => void (this.ended = "ended"),
      (error: unknown) => void (this.ended = String(error)),
    );
    await this.lab.clock.pass(ms);
    return this;
  }

  /** SIGTERM; gives how long it took to end, ms. */
  async end(): Promise<number> {
    const began = this.lab.clock.now();
    this.stop.abort(new Error("SIGTERM"));
    await this.lab.clock.drive(this.#running);
    return this.lab.clock.now() - began;
  }

  count(what: string): number {
    return this.counts.get(what) ?? 0;
  }

  #count(what: string): void {
    this.counts.set(what, this.count(what) + 1);
  }

  #logger(): Log {
    const at = (level: string) => (data: Readonly<Record<string, unknown>>, message: string) => {
      if (level !== "debug") this.log.push(`${level} ${message} ${JSON.stringify(data)}`);
    };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }
}

/** `Ready=True Synced=True`, those that matter; the message of what is wrong behind it. */
export async function conditions(lab: Lab, key: string): Promise<string> {
  const resource = await lab.resource(key);
  return (resource?.conditions ?? [])
    .filter((one) => (one.type === "Ready" || one.type === "Synced" ? one.status !== "True" : one.status === "True"))
    .map((one) => `${one.type}=${one.status} ${one.reason}${one.message === "" ? "" : `: ${one.message}`}`)
    .join("; ");
}
