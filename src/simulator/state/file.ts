import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import type { Certificate } from "../http/certificate.js";
import type { State } from "./model.js";

interface Saved {
  readonly proxmoorSimulator: 1;
  readonly certificate: Certificate;
  readonly state: State;
}

/** A change reaches the file within this time. */
const DELAY_MS = 25;

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
 */
export class StateFile {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly file: string,
    private readonly certificate: Certificate,
    private readonly state: () => State,
  ) {}

  touch(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.write();
    }, DELAY_MS);
  }

  close(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.write();
  }

  private write(): void {
    const saved: Saved = { proxmoorSimulator: 1, certificate: this.certificate, state: this.state() };
    const next = `${this.file}.new`;
    rmSync(next, { force: true });
    const handle = openSync(next, "wx", 0o600);
    try {
      writeSync(handle, JSON.stringify(saved));
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(next, this.file);
  }
}
