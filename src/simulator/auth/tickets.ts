import { createHmac, scryptSync, timingSafeEqual } from "node:crypto";
import { ApiFault } from "../fault.js";
import type { World } from "../world.js";
import { isUsable, parseLogin, type Login } from "./login.js";

const LIFETIME_S = 7200;
const hexTime = (seconds: number): string => seconds.toString(16).toUpperCase().padStart(8, "0");

function sign(world: World, text: string, digits: "base64" | "base64url" = "base64"): string {
  return createHmac("sha512", world.state.cluster.ticketKey).update(text).digest(digits);
}

/** How the state file keeps a password; a fixed salt is enough for test log-ins. */
export function hashPassword(password: string): string {
  return scryptSync(password, "simulator", 32, { N: 1024 }).toString("hex");
}

export function isPassword(hash: string | undefined, password: string): boolean {
  if (hash === undefined) return false;
  return timingSafeEqual(Buffer.from(hash, "hex"), Buffer.from(hashPassword(password), "hex"));
}

/** `PVE:user:TIME::SIGNATURE`, good for two hours. */
export function makeTicket(world: World, userid: string): string {
  const plain = `PVE:${userid}:${hexTime(world.seconds())}`;
  return `${plain}::${sign(world, plain)}`;
}

/** The token that writes with a ticket need besides the cookie. */
export function makeCsrf(world: World, userid: string): string {
  const time = hexTime(world.seconds());
  return `${time}:${sign(world, `csrf:${time}:${userid}`)}`;
}

function isFresh(world: World, time: string): boolean {
  const age = world.seconds() - Number.parseInt(time, 16);
  return age > -300 && age < LIFETIME_S;
}

/** The user of a ticket; undefined when it is not one of ours or has ended. */
export function ticketUser(world: World, ticket: string): string | undefined {
  const found = /^PVE:(\S+):([0-9A-F]{8})::(.+)$/.exec(ticket);
  if (found === null) return undefined;
  const [, userid = "", time = "", signature = ""] = found;
  return sign(world, `PVE:${userid}:${time}`) === signature && isFresh(world, time) ? userid : undefined;
}

function isCsrf(world: World, userid: string, token: string): boolean {
  const [time = "", signature = ""] = token.split(":");
  return /^[0-9A-F]{8}$/.test(time) && isFresh(world, time) && sign(world, `csrf:${time}:${userid}`) === signature;
}

export interface Credentials {
  readonly method: string;
  readonly authorization?: string | undefined;
  readonly cookie?: string | undefined;
  readonly csrf?: string | undefined;
}

/** Refused log-ins: a 401 without a body, for which PVE takes three seconds. */
export class AuthFault extends ApiFault {
  constructor(text: string) {
    super(401, text);
  }
}

/** Who sent a request. @throws AuthFault with PVE's reason phrase. */
export function authenticate(world: World, given: Credentials): Login {
  const token = /^PVEAPIToken[= ](.+)$/.exec(given.authorization ?? "")?.[1];
  if (token !== undefined) return byToken(world, token);
  const ticket = cookieValue(given.cookie);
  if (ticket === undefined) throw new AuthFault("No ticket");
  const userid = ticketUser(world, ticket);
  if (userid === undefined) throw new AuthFault("Authentication failed!");
  const login = parseLogin(userid, "ticket");
  if (!isUsable(world.state, login, world.seconds())) throw new AuthFault("Authentication failed!");
  if (given.method !== "GET" && !isCsrf(world, userid, given.csrf ?? ""))
    throw new AuthFault("Permission denied - invalid csrf token");
  return login;
}

function byToken(world: World, text: string): Login {
  const found = /^([^\s:/]+@[^\s!]+![^\s=]+)=(.+)$/.exec(text);
  const login = parseLogin(found?.[1] ?? "", "token");
  const secret = world.state.access.users[login.userid]?.tokens[login.tokenid ?? ""]?.secret;
  if (secret === undefined || secret !== found?.[2] || !isUsable(world.state, login, world.seconds()))
    throw new AuthFault("Authentication failed!");
  return login;
}

function cookieValue(cookie: string | undefined): string | undefined {
  const found = /(?:^|;\s*)PVEAuthCookie=([^;]*)/.exec(cookie ?? "")?.[1];
  if (found === undefined || found === "") return undefined;
  try {
    return decodeURIComponent(found);
  } catch {
    return found;
  }
}
