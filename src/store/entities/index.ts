import type { EntitySchema } from "typeorm";
import { containers, containerTags, nodes, nodeStorage, stateSnapshots, storage, vms, vmTags } from "./cluster.js";
import {
  events,
  leases,
  manifestRevisions,
  marks,
  resourceLabels,
  resources,
  tasks,
  vmidQuarantine,
} from "./control.js";
import { entitySchema } from "./table.js";
import type { Provider } from "./table.js";

/** All tables, parents before children. */
export const TABLES = [
  nodes,
  vms,
  vmTags,
  containers,
  containerTags,
  storage,
  nodeStorage,
  tasks,
  stateSnapshots,
  resources,
  resourceLabels,
  vmidQuarantine,
  events,
  leases,
  manifestRevisions,
  marks,
] as const;

export function entities(provider: Provider): EntitySchema[] {
  return TABLES.map((of) => entitySchema(of, provider));
}
