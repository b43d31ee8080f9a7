import { randomUUID } from "node:crypto";
import { observeTasks } from "../apply/observe-tasks.js";
import type { DesiredState } from "../desired/types.js";
import { requirePve } from "../config/config.js";
import { ProxmoorError } from "../model/errors.js";
import { refKey } from "../model/ref.js";
import { observeCluster } from "../observed/observe.js";
import type { ObservedState } from "../observed/types.js";
import { planChanges } from "../plan/plan.js";
import type { Inventory, Plan, PlanPolicy } from "../plan/types.js";
import type { Session } from "./compose.js";

/** The options that shape a plan. */
export interface PlanOptions {
  readonly adopt?: boolean;
  readonly allow?: readonly string[];
  readonly prune?: boolean;
  readonly vmidRange?: string;
  readonly maxDeletes?: string;
  readonly shutdownTimeout?: string;
  readonly forceStop?: boolean;
}

/** How far back tasks that others ran in PVE are taken over. */
const TASKS_OF_MS = 3_600_000;

/** What PVE gives out by itself (`/cluster/nextid`): 100 up to below a million. */
const DEFAULT_RANGE = { first: 100, last: 999_999 };

/** One look at the cluster, kept in the database, with the inventory of the same moment. */
export async function look(
  session: Session,
  signal?: AbortSignal,
): Promise<{ observed: ObservedState; inventory: Inventory }> {
  const now = session.clock.now();
  const inventory = await session.store.resources.inventory(now);
  const known = new Map(inventory.resources.map((one) => [one.vmid, one.node]));
  const observed = await observeCluster(session.pve().reader, { now, known, ...(signal && { signal }) });
  await session.store.state.sync(observed);
  const since = now - TASKS_OF_MS;
  await observeTasks({ pveTasks: session.pve().tasks, taskLog: session.store.tasks }, observed.nodes, since, signal);
  return { observed, inventory };
}

export interface Planned {
  readonly plan: Plan;
  readonly observed: ObservedState;
  readonly policy: PlanPolicy;
}

/** Looks and plans. */
export async function lookAndPlan(
  session: Session,
  desired: DesiredState,
  how: { policy: PlanPolicy; signal?: AbortSignal },
): Promise<Planned> {
  const { observed, inventory } = await look(session, how.signal);
  const plan = planChanges({ desired, observed, inventory, policy: how.policy });
  checkConsents(how.policy, plan);
  return { plan, observed, policy: how.policy };
}

/** A consent that fits nothing is a slip of the pen. Throws USAGE. */
function checkConsents({ allowReplace }: PlanPolicy, plan: Plan): void {
  const planned = new Set(plan.changes.map((change) => refKey(change.ref)));
  const unknown = [...allowReplace].find((key) => !planned.has(key));
  if (unknown !== undefined)
    throw new ProxmoorError("USAGE", `--allow replace=${unknown}: these manifests declare no ${unknown}`);
}

/** The policy that the options ask for. Throws USAGE. */
export function policyOf(options: PlanOptions, session: Session, prunes?: (source: string) => boolean): PlanPolicy {
  const maxDeletes = numberOf(options.maxDeletes ?? "10", "--max-deletes", 0);
  const timeout = numberOf(options.shutdownTimeout ?? "60", "--shutdown-timeout", 1);
  const { auth } = requirePve(session.config);
  return {
    adopt: options.adopt === true,
    allowReplace: new Set((options.allow ?? []).map(replacement)),
    vmidRange: options.vmidRange === undefined ? DEFAULT_RANGE : rangeOf(options.vmidRange),
    maxDeletes,
    shutdown: { timeout, force: options.forceStop === true },
    prunes: options.prune === true ? prunes : undefined,
    newIdentity: () => randomUUID(),
    sameRaw: session.pve().sameRaw,
    isRoot: auth.kind === "ticket" && auth.username === "root@pam",
  };
}

/** A whole number of an option. Throws USAGE. */
export function numberOf(text: string, flag: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new ProxmoorError("USAGE", `${flag} must be a number from ${least}, not "${text}"`);
}

function replacement(text: string): string {
  const match = /^replace=((?:vm|ct)\/.+)$/.exec(text);
  if (match?.[1] === undefined)
    throw new ProxmoorError("USAGE", `--allow takes replace=vm/NAME or replace=ct/NAME, not "${text}"`);
  return match[1];
}

function rangeOf(text: string): PlanPolicy["vmidRange"] {
  const match = /^(\d+)-(\d+)$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  // PVE's bounds of a vmid (api-params: pve-vmid)
  if (!match || first < 100 || last > 999_999_999 || first > last)
    throw new ProxmoorError("USAGE", `--vmid-range must look like 1000-1999, within 100-999999999, not "${text}"`);
  return { first, last };
}
