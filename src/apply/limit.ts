/** A counting semaphore: at most `size` holders, first come first served. */
export class Limit {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

/** One limit per key, made when first asked for. */
export class KeyedLimit<K> {
  readonly #limits = new Map<K, Limit>();

  constructor(readonly size: number) {}

  run<T>(key: K, work: () => Promise<T>): Promise<T> {
    const limit = this.#limits.get(key) ?? new Limit(this.size);
    this.#limits.set(key, limit);
    return limit.run(work);
  }
}
