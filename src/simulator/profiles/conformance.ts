import { readFileSync } from "node:fs";
import type { AclEntry, Pool, State } from "../state/model.js";
import {
  addAcl,
  addGuest,
  addNode,
  addStorage,
  addUser,
  addVolume,
  emptyState,
  type GuestSeed,
  type Seeding,
  type UserSeed,
  type VolumeSeed,
} from "./base.js";

interface Recorded {
  readonly node: { readonly name: string; readonly cpus: number; readonly network: Record<string, unknown>[] };
  readonly storages: readonly {
    readonly storage: string;
    readonly type: string;
    readonly config: Record<string, string>;
  }[];
  readonly volumes: readonly VolumeSeed[];
  readonly guests: readonly Omit<GuestSeed, "node">[];
  readonly pools: Readonly<Record<string, Pool>>;
  readonly users: readonly UserSeed[];
  readonly groups: readonly string[];
  readonly acl: readonly AclEntry[];
}

const FILE = new URL("../../../../src/simulator/profiles/conformance.json", import.meta.url);
const GIB = 2 ** 30;

/** What a volume is to the simulator beside its name: what boots, what a template holds. */
const NATURE: Readonly<Record<string, Partial<VolumeSeed>>> = {
  "local:iso/mini.iso": { bootable: true },
  "local:vztmpl/mini_1.0_amd64.tar.gz": { holds: { ostype: "alpine", arch: "amd64" } },
  "local:import/mini.qcow2": { holds: { virtual: String(64 * 2 ** 20) } },
};

/** The state of a recorded PVE 9.2 node, before the conformance scenario. */
export function conformanceState(seeding: Seeding): State {
  const recorded = JSON.parse(readFileSync(FILE, "utf8")) as Recorded;
  const state = emptyState(seeding);
  const { name, cpus, network } = recorded.node;
  // the recorded node has no search domain
  const dns = { dns1: "10.0.0.1" };
  addNode(state, seeding, { name, id: 1, ip: "10.77.0.1", cpus, memory: 24 * GIB, network, dns });
  for (const { storage, type, config } of recorded.storages) addStorage(state, storage, type, { ...config });
  for (const volume of recorded.volumes)
    addVolume(state, seeding, name, {
      ...volume,
      used: volume.content === "iso" ? volume.size : 331_776,
      ...NATURE[volume.volid],
    });
  for (const guest of recorded.guests) addGuest(state, seeding, { ...guest, node: name });
  for (const [id, pool] of Object.entries(recorded.pools))
    state.pools[id] = { ...pool, vms: [...pool.vms], storages: [] };
  for (const group of recorded.groups) state.access.groups[group] = {};
  for (const user of recorded.users) addUser(state, user);
  for (const entry of recorded.acl) addAcl(state, { ...entry });
  return state;
}
