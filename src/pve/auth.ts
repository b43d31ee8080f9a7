import { ProxmoorError } from "../model/errors.js";
import { readSecret } from "./settings.js";
import type { PveAuth } from "./settings.js";

/** What a request needs to be let in, and how to get a new log-in when PVE refuses it. */
export interface Authenticator {
  /** Headers for a request; logs in first where that is due. */
  headers(write: boolean): Promise<Readonly<Record<string, string>>>;
  /** After a 401: true where there is something new to try. */
  renew(refused: Readonly<Record<string, string>>): Promise<boolean>;
  /** Every secret known so far, to be struck from texts. */
  secrets(): readonly string[];
}

/** What a log-in sends and gets: POST /access/ticket, without credentials. */
export type LogIn = (
  params: Readonly<Record<string, string>>,
) => Promise<{ readonly ticket: string; readonly csrf: string }>;

const HOUR = 3_600_000;

/** A ticket lasts 2 h and can be renewed with itself as password until then (BEHAVIOUR 15). */
const RENEW_AFTER = HOUR;
const EXPIRES_AFTER = 2 * HOUR;

export function createAuthenticator(auth: PveAuth, logIn: LogIn, now: () => number): Authenticator {
  return auth.kind === "token" ? tokenAuthenticator(auth) : ticketAuthenticator(auth, logIn, now);
}

function tokenAuthenticator(auth: Extract<PveAuth, { kind: "token" }>): Authenticator {
  let token: Promise<string> | undefined;
  const known = new Set<string>();
  const read = async (): Promise<string> => {
    const value = await readSecret(auth.token);
    if (!/^[^\s@!=]+@[^\s@!=]+![^\s=]+=[\x21-\x7e]+$/.test(value)) {
      throw new ProxmoorError("CONFIG_INVALID", "the API token is not of the form user@realm!id=secret", {
        remedy: "Put the token's id and its secret together with an equals sign.",
      });
    }
    known.add(value.slice(value.indexOf("=") + 1));
    return `PVEAPIToken=${value}`;
  };
  return {
    headers: async () => ({ authorization: await (token ??= read()) }),
    renew: async (refused) => {
      // the file may have rotated; the same token again would only cost PVE's 3 s once more
      token = read();
      return (await token) !== refused["authorization"];
    },
    secrets: () => [...known],
  };
}

interface Ticket {
  readonly ticket: string;
  readonly csrf: string;
  readonly at: number;
}

function ticketAuthenticator(
  auth: Extract<PveAuth, { kind: "ticket" }>,
  logIn: LogIn,
  now: () => number,
): Authenticator {
  let current: Ticket | undefined;
  let pending: Promise<Ticket> | undefined;
  const known = new Set<string>();

  const withPassword = async (password: string): Promise<Ticket> => {
    known.add(password);
    const { ticket, csrf } = await logIn({ username: auth.username, password });
    known.add(ticket).add(csrf);
    return { ticket, csrf, at: now() };
  };
  const obtain = async (renewable: Ticket | undefined): Promise<Ticket> => {
    if (renewable !== undefined && now() - renewable.at < EXPIRES_AFTER) {
      try {
        return await withPassword(renewable.ticket);
      } catch (error) {
        if (!(error instanceof ProxmoorError && error.code === "PVE_AUTH")) throw error;
      }
    }
    return withPassword(await readSecret(auth.password));
  };
  // one log-in at a time, shared by all requests that wait for it: so no single request's abort may end it
  const refresh = (renewable: Ticket | undefined): Promise<Ticket> =>
    (pending ??= obtain(renewable)
      .then((ticket) => (current = ticket))
      .finally(() => (pending = undefined)));

  return {
    headers: async (write) => {
      const due = current === undefined || now() - current.at >= RENEW_AFTER;
      const { ticket, csrf } = due || current === undefined ? await refresh(current) : current;
      const cookie = { cookie: `PVEAuthCookie=${encodeURIComponent(ticket)}` };
      return write ? { ...cookie, csrfpreventiontoken: csrf } : cookie;
    },
    renew: async (refused) => {
      const stale = current !== undefined && refused["cookie"]?.endsWith(encodeURIComponent(current.ticket)) === true;
      if (stale || current === undefined) {
        current = undefined;
        await refresh(undefined);
      }
      return true;
    },
    secrets: () => [...known],
  };
}
