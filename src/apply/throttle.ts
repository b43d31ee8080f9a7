import type { Step } from "../plan/types.js";
import { KeyedLimit, Limit } from "./limit.js";

/** Bounds how many steps run at once: in all, per node, and one clone per source. */
export class Throttle {
  readonly #all: Limit;
  readonly #nodes: KeyedLimit<string>;
  readonly #preparing: Limit;
  // PVE waits 1 s for the clone source's lock, so clones of one source queue here instead
  readonly #sources = new KeyedLimit<number>(1);

  constructor(size: { concurrency: number; perNode: number }) {
    this.#all = new Limit(size.concurrency);
    this.#nodes = new KeyedLimit(size.perNode);
    this.#preparing = new Limit(size.concurrency);
  }

  /** The looks before a change's first step, so that a plan of thousands does not look at all of them at once. */
  prepare<T>(work: () => Promise<T>): Promise<T> {
    return this.#preparing.run(work);
  }

  /** Runs `work` when the step's turn has come. Always source, then node, then all: no two wait for each other. */
  run<T>(step: Step, work: () => Promise<T>): Promise<T> {
    const onNode = () => this.#nodes.run(step.target.node, () => this.#all.run(work));
    return step.op === "clone" ? this.#sources.run(step.source.vmid, onNode) : onNode();
  }
}
