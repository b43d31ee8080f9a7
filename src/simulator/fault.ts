/** A refusal in PVE's own words: what the HTTP layer turns into status, reason phrase and body. */
export class ApiFault extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Texts per parameter; only a 400 has them. */
    readonly errors?: Readonly<Record<string, string>>,
  ) {
    super(message);
    this.name = "ApiFault";
  }
}

/** A plain `die` inside a PVE call: status 500. Also the way in which a task fails. */
export function fail(message: string): never {
  throw new ApiFault(500, message);
}

/** PVE's `raise_param_exc`: status 400 with a text for each parameter. */
export function refuse(errors: Readonly<Record<string, string>>): never {
  throw new ApiFault(400, "Parameter verification failed.", errors);
}

/** PVE's `raise_perm_exc`; without a text the bare `Permission check failed`. */
export function deny(text?: string): never {
  throw new ApiFault(403, text === undefined ? "Permission check failed" : `Permission check failed (${text})`);
}

/** The text of anything thrown, as a task's last line has it. */
export function faultText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
