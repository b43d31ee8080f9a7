import type { State } from "../state/model.js";

export const ROOT = "root@pam";

/** Who makes a call. */
export interface Login {
  /** With the token, as tasks and logs have it: `ops@pve!main`. */
  readonly name: string;
  readonly userid: string;
  readonly tokenid?: string | undefined;
  readonly by: "token" | "ticket" | "inside";
}

/** "Root only" in PVE compares names, so a token of root fails it. */
export const isRoot = (login: Login): boolean => login.name === ROOT;

/** Splits `user@realm!token`. */
export function parseLogin(name: string, by: Login["by"]): Login {
  const [userid = "", tokenid] = name.split("!");
  return { name, userid, tokenid, by };
}

/** Whether user (and token) exist, are enabled and have not ended. */
export function isUsable(state: State, login: Login, now: number): boolean {
  const user = state.access.users[login.userid];
  if (user === undefined || !user.enable || (user.expire !== 0 && user.expire < now)) return false;
  if (login.tokenid === undefined) return true;
  const token = user.tokens[login.tokenid];
  return token !== undefined && (token.expire === 0 || token.expire > now);
}
