/** What a command may touch of its process, so that tests can run it in their own. */
export interface Io {
  /** To standard output; a whole text at a time, with its line feeds. */
  out(text: string): void;
  /** To standard error. */
  err(text: string): void;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly isTerminal: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** This process in leases: host, process id and when it began. */
  readonly holder: string;
  /** True for a holder that was a process of this machine and is no more. */
  readonly isGone: (holder: string) => boolean;
}

/** What a command gives back: main turns it into the exit status. */
export interface CommandResult {
  readonly exitCode: number;
}
