import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../apply/ports.js";
import { requirePve, type PveConfig } from "../config/config.js";
import { observeCluster } from "../observed/observe.js";
import type { ObservedState } from "../observed/types.js";
import type { Ref } from "../model/ref.js";
import type { Inventory, Resource } from "../plan/types.js";
import { createPve, type Survey } from "../pve/index.js";
import { createSimulator, type ClusterRecord, type SimulatorClock } from "../simulator/index.js";
import { openStore, type Store } from "../store/index.js";
import { recordOfLook } from "./cluster-record.js";
import type { Session } from "./compose.js";

/** How much faster than a clock a rehearsal runs; leases and patience are in its time too. */
const SPEED = 20;
const DAY = 86_400_000;

/** A resource that only keeps a vmid from being given out. */
const NOTHING: Omit<Resource, "ref" | "vmid"> = {
  node: "",
  identity: "",
  phase: "deleting",
  lastApplied: {},
  labels: {},
  source: "",
  prune: "keep",
  generation: 0,
  observedGeneration: 0,
  conditions: [],
};

/** A session with a copy: of the cluster in a simulator, of the inventory in memory. */
export interface Rehearsal {
  readonly session: Session;
  /** What the copy was made of. */
  readonly seen: { readonly observed: ObservedState; readonly inventory: Inventory };
  /** What the copy can't be sure of, one sentence each. */
  readonly remarks: readonly string[];
}

/** Reads the real cluster (once, and nothing is written there or in the database), and builds the copy. */
export async function openRehearsal(real: Session, signal?: AbortSignal): Promise<Rehearsal> {
  const now = real.clock.now();
  const inventory = await real.store.resources.inventory(now);
  const known = new Map(inventory.resources.map((one) => [one.vmid, one.node]));
  const pve = real.pve();
  const observed = await observeCluster(pve.reader, { now, known, ...(signal && { signal }) });
  const survey = await pve.survey(surveyPlan(observed), signal);
  const login = loginOf(requirePve(real.config), survey);
  const clock = fastClock();
  const simulator = await createSimulator({ from: recordFor(observed, survey, login), clock });
  const store = await openStore({ provider: "sqlite", file: ":memory:" }, { now: () => clock.now() });
  await copyInventory(inventory, store, now);
  const copy = createPve(
    {
      endpoint: simulator.url,
      auth: login?.auth ?? { kind: "token", token: simulator.credentials.token },
      tls: { fingerprint: simulator.fingerprint },
    },
    { now: () => clock.now(), sleep: (ms, abort) => clock.sleep(ms, abort), random: () => clock.random() },
  );
  return {
    session: {
      config: real.config,
      store,
      clock,
      pve: () => copy,
      close: async () => {
        await copy.close();
        await store.close();
        await simulator.stop();
      },
    },
    seen: { observed, inventory },
    remarks: await remarksOn(real, observed, survey),
  };
}

function surveyPlan({ nodes, storages }: ObservedState): Parameters<ReturnType<typeof createPve>["survey"]>[0] {
  const online = nodes.filter((node) => node.status === "online").map((node) => node.name);
  return {
    nodes: online,
    storages: storages.flatMap(({ id, shared, enabled, nodes: on }) => {
      const active = on.filter((one) => one.active && online.includes(one.node));
      return enabled ? active.slice(0, shared ? 1 : active.length).map(({ node }) => ({ id, node })) : [];
    }),
  };
}

interface CopiedLogin {
  readonly record: NonNullable<ClusterRecord["login"]>;
  readonly auth: Parameters<typeof createPve>[0]["auth"];
}

/** The same user with the same privileges, and a secret of its own; undefined where PVE did not tell them. */
function loginOf({ auth }: PveConfig, { privileges }: Survey): CopiedLogin | undefined {
  if (privileges === undefined) return undefined;
  const secret = randomUUID();
  const name = auth.kind === "ticket" ? auth.username : (auth.token().split("=")[0] ?? "");
  return {
    record: { name, secret, privileges },
    auth:
      auth.kind === "ticket"
        ? { kind: "ticket", username: name, password: secret }
        : { kind: "token", token: `${name}=${secret}` },
  };
}

function recordFor(observed: ObservedState, survey: Survey, login: CopiedLogin | undefined): ClusterRecord {
  const seen = recordOfLook(observed);
  return {
    ...seen,
    nodes: seen.nodes.map((node) => {
      const bridges = survey.bridges.get(node.name);
      return { ...node, ...(bridges && { bridges }) };
    }),
    volumes: survey.volumes,
    ...(login && { login: login.record }),
  };
}

/** Resources as they are; vmids that must not be given out for another reason go into quarantine. */
async function copyInventory({ resources, unavailableVmids }: Inventory, store: Store, now: number): Promise<void> {
  for (const resource of resources) await store.resources.save(resource);
  const owned = new Set(resources.map((one) => one.vmid));
  for (const vmid of unavailableVmids) {
    if (owned.has(vmid)) continue;
    const ref: Ref = { kind: "VirtualMachine", name: `quarantined-${vmid}` };
    await store.resources.save({ ...NOTHING, ref, vmid });
    await store.resources.remove(ref, now + DAY);
  }
}

async function remarksOn(real: Session, observed: ObservedState, survey: Survey): Promise<string[]> {
  const remarks: string[] = [];
  const unfinished = await real.store.tasks.unfinished();
  if (unfinished.length > 0)
    remarks.push(
      `${unfinished.length} steps of an earlier run are unfinished: apply picks them up first, this does not.`,
    );
  const silent = observed.nodes.filter((node) => node.status !== "online").map((node) => node.name);
  if (silent.length > 0) remarks.push(`${silent.join(", ")} did not answer: its guests are known by name only.`);
  if (survey.privileges === undefined) remarks.push("The log-in's privileges could not be read: all are assumed.");
  return remarks;
}

/** Real time, run through SPEED times as fast. */
function fastClock(): Clock & SimulatorClock {
  const start = Date.now();
  const now = () => start + (Date.now() - start) * SPEED;
  return {
    now,
    sleep: async (ms, signal) => {
      await delay(ms / SPEED, undefined, signal ? { signal } : {});
    },
    random: () => Math.random(),
    after(ms, action) {
      const timer = setTimeout(action, ms / SPEED);
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}
