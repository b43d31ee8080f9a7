import { HANDLERS } from "./calls.js";
import { parseLogin, type Login } from "./auth/login.js";
import { realClock, type SimulatorClock } from "./clock.js";
import { ApiFault } from "./fault.js";
import { Faults, type FaultControl } from "./faults/faults.js";
import { EXPIRED } from "./faults/conditions.js";
import { SkewedClock } from "./faults/skewed-clock.js";
import { Api, type ApiCall, type Delivery } from "./http/api.js";
import { dispatch } from "./http/dispatch.js";
import { stateFrom, type ClusterRecord } from "./from-state.js";
import { HaManager } from "./cluster/ha-manager.js";
import { fingerprintOf, makeCertificate } from "./http/certificate.js";
import { RequestLog, type LoggedRequest } from "./http/log.js";
import { Routes } from "./http/routes.js";
import { ApiServer } from "./http/server.js";
import { executeCalls } from "./nodes/execute.js";
import { MORE_SHAPES } from "./indexes.js";
import { conformanceState } from "./profiles/conformance.js";
import { addUsers, demoProfile, emptyProfile, type Made } from "./profiles/demo.js";
import { Random } from "./random.js";
import { loadState, StateFile } from "./state/file.js";
import type { State } from "./state/model.js";
import type { Params } from "./table/check.js";
import { World } from "./world.js";

export { ManualClock, type SimulatorClock } from "./clock.js";
export { ApiFault } from "./fault.js";
export type { ClusterRecord } from "./from-state.js";
export type { ActiveFault, FaultControl } from "./faults/faults.js";
export { FaultRuleError, printPath, readFaults, type FaultComplaint } from "./faults/read.js";
export type { FaultRule } from "./faults/rules.js";
export type { ApiCall, Delivery } from "./http/api.js";
export { largeCluster } from "./profiles/large.js";
export type { LoggedRequest } from "./http/log.js";
export { StateFileError } from "./state/file.js";

export type SimulatorProfile = "demo" | "conformance" | "empty";

export interface SimulatorOptions {
  /** The state to begin with; a state file that exists wins. */
  readonly profile?: SimulatorProfile;
  /** A cluster that was seen, to begin with instead of a profile. */
  readonly from?: ClusterRecord;
  /** One seed, one run: ids, MAC addresses, pids. */
  readonly seed?: number;
  readonly clock?: SimulatorClock;
  /** Kept up to date within 50 ms; survives a kill at any time. */
  readonly stateFile?: string;
  /** One JSON object a line. */
  readonly requestLog?: string;
  /** false: no port and no certificate; `exchange` is the only way in. */
  readonly listen?: { readonly host?: string; readonly port?: number } | false;
  /** Milliseconds that the work of a task of this type takes, before `speed`. */
  readonly taskDuration?: (type: string) => number;
  /** How much faster than real time tasks, boots and uptimes run. */
  readonly speed?: number;
  /** Milliseconds until a refused log-in is answered; PVE's 3000 by default. */
  readonly authDelay?: number;
}

export interface SimulatorCredentials {
  /** `user@realm!id=secret`, an administrator. */
  readonly token: string;
  /** May read everything and change nothing. */
  readonly readOnlyToken: string;
  readonly rootPassword: string;
}

/** Calls the API in the same process, as a user and with its rights. */
export interface Actor {
  call(method: string, path: string, params?: Record<string, string | number | boolean>): Promise<unknown>;
}

export interface Simulator {
  readonly url: string;
  /** SHA-256 of the certificate, `AA:BB:…`. */
  readonly fingerprint: string;
  readonly caPem: string;
  readonly credentials: SimulatorCredentials;
  /** The last requests that came over the wire. */
  readonly requests: readonly LoggedRequest[];
  /** What a client needs to connect, as environment variables. */
  settings(): Record<string, string>;
  /** Somebody else at the same cluster: `root@pam` by default. @throws ApiFault as PVE refuses */
  as(user?: string): Actor;
  /** What goes wrong on purpose. */
  readonly faults: FaultControl;
  /** A request as if it came over the wire, without one: undefined where the connection is refused. */
  exchange(call: ApiCall): Promise<Delivery> | undefined;
  /** A node that is offline answers nothing; its guests go on running. */
  setNodeOnline(node: string, online: boolean): void;
  stop(): Promise<void>;
}

/** What a task takes on a small real cluster, milliseconds. */
const DURATIONS: Readonly<Record<string, number>> = {
  qmcreate: 1000,
  vzcreate: 1500,
  qmclone: 1500,
  vzclone: 1500,
  qmstart: 1200,
  vzstart: 1000,
  qmstop: 800,
  vzstop: 800,
  qmshutdown: 2000,
  vzshutdown: 1500,
  qmreboot: 2000,
  vzreboot: 1500,
  qmdestroy: 800,
  vzdestroy: 800,
  qmmove: 2000,
  qmsnapshot: 600,
  vzdump: 4000,
  qmigrate: 4000,
  vzmigrate: 4000,
};
const DEFAULT_DURATION = 300;
const CONFORMANCE_SPEED = 20;

interface Seeded {
  readonly state: State;
  readonly credentials: SimulatorCredentials;
}

/** Starts a simulator that answers like PVE 9.2's API. @throws StateFileError, or the listen error */
export async function createSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const clock = new SkewedClock(options.clock ?? realClock);
  const profile = options.profile ?? "demo";
  const listen = options.listen ?? {};
  const host = listen === false ? "" : (listen.host ?? "127.0.0.1");
  const saved = options.stateFile === undefined ? undefined : loadState(options.stateFile);
  const seeded = saved === undefined ? seed(options, clock) : reopen(saved.state);
  const certificate =
    saved?.certificate ?? (listen === false ? { key: "", cert: "" } : await makeCertificate(host, clock.now()));
  const file =
    options.stateFile === undefined ? undefined : new StateFile(options.stateFile, certificate, () => seeded.state);
  const world = worldOf(seeded.state, options, { clock, changed: () => file?.touch() });
  const routes: Routes = new Routes({ ...HANDLERS, ...executeCalls(() => routes) }, MORE_SHAPES);
  const log = new RequestLog(options.requestLog);
  const root = actor(world, routes, parseLogin("root@pam", "inside"));
  const faults = new Faults({ world, clock, seed: options.seed ?? 1, callAsRoot: (...call) => root.call(...call) });
  const api = new Api({ world, routes, log, faults, authDelay: options.authDelay ?? (isFast(profile) ? 20 : 3000) });
  const server =
    listen === false ? undefined : new ApiServer({ api, conditions: faults.conditions, clock, certificate });
  const port = listen === false ? 0 : await server?.listen(host, listen.port ?? 0);
  const ha = new HaManager(world);
  ha.start();
  file?.touch();
  const url = listen === false ? "https://simulator.invalid" : `https://${bracketed(host)}:${port}`;
  const fingerprint = listen === false ? "" : fingerprintOf(certificate);
  return {
    url,
    fingerprint,
    caPem: certificate.cert,
    credentials: seeded.credentials,
    requests: log.entries,
    faults,
    settings: () => ({
      PROXMOX_VE_ENDPOINT: url,
      PROXMOX_VE_API_TOKEN: seeded.credentials.token,
      PROXMOX_VE_FINGERPRINT: fingerprint,
    }),
    as: (user = "root@pam") => actor(world, routes, parseLogin(user, "inside")),
    exchange: (call) => (faults.conditions.isDown ? undefined : api.serve(call)),
    setNodeOnline(node, online) {
      const found = world.node(node);
      if (found === undefined) throw new ApiFault(500, `no such cluster node '${node}'`);
      found.online = online;
      world.changed();
    },
    async stop() {
      faults.clear();
      ha.stop();
      world.tasks.halt();
      await server?.close();
      await file?.close();
      await log.close();
    },
  };
}

const isFast = (profile: SimulatorProfile): boolean => profile === "conformance";

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

function worldOf(
  state: State,
  { profile = "demo", speed, taskDuration }: SimulatorOptions,
  { clock, changed }: { clock: SimulatorClock; changed: () => void },
): World {
  const fast = isFast(profile);
  const world = new World(state, {
    clock,
    speed: speed ?? (fast ? CONFORMANCE_SPEED : 1),
    taskDuration: taskDuration ?? ((type) => (fast ? 0 : (DURATIONS[type] ?? DEFAULT_DURATION))),
    onChange: changed,
  });
  world.tasks.abandon();
  // what an earlier simulator's faults left in the state file
  delete state.access.withheld;
  for (const node of Object.values(state.nodes)) {
    if (node.away === true) node.online = true;
    delete node.away;
  }
  const tokens = Object.values(state.access.users).flatMap((user) => Object.values(user.tokens));
  for (const token of tokens) if (token.expire === EXPIRED) token.expire = 0;
  return world;
}

function seed({ profile = "demo", seed: seedNumber = 1, from }: SimulatorOptions, clock: SimulatorClock): Seeded {
  const seeding = { seed: seedNumber, now: Math.floor(clock.now() / 1000) };
  if (profile === "conformance" && from === undefined) return reopen(conformanceState(seeding));
  const random = new Random(seedNumber);
  const { state, ...credentials } = made();
  state.documents["simulator"] = { credentials: { ...credentials } };
  state.random = random.position;
  return { state, credentials };

  function made(): Made {
    if (from === undefined) return (profile === "demo" ? demoProfile : emptyProfile)(seeding, random);
    const copy = stateFrom(from, seeding);
    if (from.login === undefined) return { state: copy, ...addUsers(copy, random) };
    return { state: copy, token: `${from.login.name}=${from.login.secret}`, readOnlyToken: "", rootPassword: "" };
  }
}

/** The log-ins of a state that is there already. */
function reopen(state: State): Seeded {
  const kept = state.documents["simulator"]?.["credentials"];
  const text = (key: string): string => (typeof kept?.[key] === "string" ? kept[key] : "");
  if (kept !== undefined)
    return {
      state,
      credentials: { token: text("token"), readOnlyToken: text("readOnlyToken"), rootPassword: text("rootPassword") },
    };
  const secret = (userid: string): string => state.access.users[userid]?.tokens["main"]?.secret ?? "";
  return {
    state,
    credentials: {
      token: `ops@pve!main=${secret("ops@pve")}`,
      readOnlyToken: `auditor@pve!main=${secret("auditor@pve")}`,
      rootPassword: "",
    },
  };
}

function actor(world: World, routes: Routes, login: Login): Actor {
  return {
    async call(method, path, params = {}) {
      const given: Params = {};
      for (const [key, value] of Object.entries(params))
        given[key] = typeof value === "boolean" ? (value ? "1" : "0") : String(value);
      const segments = path
        .split("/")
        .filter((part) => part !== "")
        .map(decodeURIComponent);
      const answer = await dispatch(world, routes, { method, segments, params: given, login });
      return answer.data;
    },
  };
}
