import type { EntitySchema } from "typeorm";
import { containers, nodes, nodeStorage, stateSnapshots, storage, vms } from "./cluster.js";
import { events, leases, manifestRevisions, resources, tasks, vmidQuarantine } from "./control.js";
import { entitySchema } from "./table.js";
import type { Provider } from "./table.js";

/** All tables, parents before children. */
export const TABLES = [
  nodes,
  vms,
  containers,
  storage,
  nodeStorage,
  tasks,
  stateSnapshots,
  resources,
  vmidQuarantine,
  events,
  leases,
  manifestRevisions,
] as const;

export function entities(provider: Provider): EntitySchema[] {
  return TABLES.map((of) => entitySchema(of, provider));
}
