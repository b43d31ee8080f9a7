import { existsSync, readFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import type { Certificate } from "../http/certificate.js";
import type { State } from "./model.js";

interface Saved {
  readonly proxmoorSimulator: 1;
  readonly certificate: Certificate;
  readonly state: State;
}

/** A change begins its way to the file after this time, where the last one was quick. */
const DELAY_MS = 25;
/** Times what a write held up everything else, until the next one. */
const PAUSE = 20;

/** Thrown when a state file is there but can't be used. */
export class StateFileError extends Error {}

/** Reads a state file; undefined when there is none yet. @throws StateFileError */
export function loadState(file: string): { certificate: Certificate; state: State } | undefined {
  if (!existsSync(file)) return undefined;
  let saved: Partial<Saved>;
  try {
    saved = JSON.parse(readFileSync(file, "utf8")) as Partial<Saved>;
  } catch (cause) {
    throw new StateFileError(`${file} can't be read as a simulator's state`, { cause });
  }
  if (saved.proxmoorSimulator !== 1 || saved.state?.format !== 1 || saved.certificate === undefined)
    throw new StateFileError(`${file} is not a simulator's state file`);
  return { certificate: saved.certificate, state: saved.state };
}

/**
 * Writes the state after changes: to a new file beside it which then takes its name, so that a kill at any
 * time leaves the old state or the new one. The file holds log-in secrets and the TLS key: mode 0600.
 * A large state is written less often: 7 MiB of 10,000 guests hold up the answers for some 40 ms, a twentieth of the time.
 */
export class StateFile {
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> | undefined;
  private isDirty = false;
  private isClosed = false;
  /** Milliseconds that nothing else went on while the last one was made. */
  private cost = 0;

  constructor(
    private readonly file: string,
    private readonly certificate: Certificate,
    private readonly state: () => State,
  ) {}

  touch(): void {
    this.isDirty = true;
    if (this.timer !== undefined || this.writing !== undefined || this.isClosed) return;
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        this.writing = this.write().finally(() => {
          this.writing = undefined;
          if (this.isDirty) this.touch();
        });
      },
      Math.max(DELAY_MS, this.cost * PAUSE),
    );
  }

  /** Writes what is left. @throws what the file system says, also of an earlier write */
  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.writing;
    await this.write();
  }

  private async write(): Promise<void> {
    const began = performance.now();
    this.isDirty = false;
    const saved: Saved = { proxmoorSimulator: 1, certificate: this.certificate, state: this.state() };
    const text = JSON.stringify(saved);
    this.cost = performance.now() - began;
    const next = `${this.file}.new`;
    await rm(next, { force: true });
    const handle = await open(next, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(next, this.file);
  }
}
