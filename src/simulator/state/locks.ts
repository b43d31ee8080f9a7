/** Thrown by a call that meets a held lock, before it has changed anything; the dispatcher tries it again. */
export class Held extends Error {
  constructor(
    readonly key: string,
    /** How long PVE waits for this lock, milliseconds of simulated time. */
    readonly wait: number,
    /** PVE's text when the wait was in vain. */
    readonly text: string,
  ) {
    super(text);
  }
}

/** The node-local file locks of guests and storages: held by tasks for as long as they work. */
export class Locks {
  private readonly held = new Set<string>();
  private readonly waiting = new Map<string, Set<() => void>>();

  isHeld(key: string): boolean {
    return this.held.has(key);
  }

  /** @returns false when somebody else has it. */
  take(key: string): boolean {
    if (this.held.has(key)) return false;
    this.held.add(key);
    return true;
  }

  release(key: string): void {
    if (!this.held.delete(key)) return;
    const waiting = this.waiting.get(key);
    this.waiting.delete(key);
    for (const wake of waiting ?? []) wake();
  }

  /** Calls `wake` once the lock is free; the returned function stops waiting. */
  onRelease(key: string, wake: () => void): () => void {
    const set = this.waiting.get(key) ?? new Set();
    this.waiting.set(key, set);
    set.add(wake);
    return () => set.delete(wake);
  }
}
