import type { DesiredState } from "../../src/desired/types.js";
import type { LoggedRequest } from "../../src/simulator/index.js";
import { declare } from "../support/fake-lab.js";
import { WireLab, type WireRun, type WireSettings } from "../support/wire-lab.js";

const head = (kind: string, name: string) =>
  `apiVersion: proxmoor.dev/v1\nkind: ${kind}\nmetadata: { name: ${name} }\n`;
const vm = (spec: string): DesiredState =>
  declare(
    `${head("VirtualMachine", "web")}spec: { node: pve1, disks: { scsi0: { storage: local-lvm, size: 4Gi } }, ${spec} }`,
  );
const clone = (spec: string): DesiredState =>
  declare(`${head("VirtualMachine", "web")}spec: { node: pve1, from: { template: debian-12 }, ${spec} }`);

/** What Proxmoor is at when the fault strikes: what is there already, and what is wanted. */
interface Scenario {
  readonly before?: DesiredState;
  readonly wanted?: DesiredState;
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  create: { wanted: vm("power: running") },
  clone: { wanted: clone("power: running") },
  change: { before: vm("power: running"), wanted: vm("power: running, description: changed") },
  start: { before: vm("power: stopped"), wanted: vm("power: running") },
  shutdown: { before: clone("power: running"), wanted: clone("power: stopped") },
  look: { before: vm("power: running"), wanted: vm("power: running") },
  delete: { before: vm("power: stopped") },
};

/** A guest takes 12 s to boot until it reacts to a shutdown. */
const BOOT_MS = 15_000;
/** Somebody presses Ctrl-C after an hour. */
const PATIENCE_MS = 3_600_000;

export interface Played {
  readonly first: WireRun;
  /** Once all is well again. */
  readonly second: WireRun;
}

/** Plays a scenario, `change` or `change, by password`, under the faults that `strike` adds. */
export async function play(name: string, strike: (lab: WireLab) => void): Promise<Played> {
  const [what = "", how] = name.split(", ");
  const scenario = SCENARIOS[what];
  if (scenario === undefined)
    throw new Error(`there is no scenario "${what}", only ${Object.keys(SCENARIOS).join(", ")}`);
  const lab = await WireLab.open({ taskMs: 1000 });
  const settings: WireSettings = { patience: PATIENCE_MS };
  const password = { kind: "ticket", username: "root@pam", password: lab.simulator.credentials.rootPassword } as const;
  const withFault: WireSettings = { ...settings, ...(how === "by password" && { auth: password }) };
  if (scenario.before !== undefined) await lab.apply(scenario.before, settings);
  await lab.clock.pass(BOOT_MS);
  const run = (with_: WireSettings): Promise<WireRun> =>
    scenario.wanted === undefined ? lab.remove(["vm/web"], with_) : lab.apply(scenario.wanted, with_);
  strike(lab);
  const first = await run(withFault);
  lab.simulator.faults.clear();
  await lab.clock.pass(BOOT_MS);
  return { first, second: await run(settings) };
}

const OPS: Readonly<Record<string, string>> = { qemu: "create", lxc: "create", config: "configure" };

function opOf({ method, path }: LoggedRequest): string {
  if (method === "DELETE") return "destroy";
  const last = path.split("/").at(-1) ?? "";
  return OPS[last] ?? last;
}

/** The writes of a run in their order: `create (596), start`. */
export function writesOf({ requests }: WireRun): string {
  const writes = requests
    .filter(({ method, path }) => method !== "GET" && !path.endsWith("/access/ticket"))
    .sort((a, b) => a.arrived - b.arrived)
    .map((one) => {
      if (one.status === 0) return `${opOf(one)} (lost)`;
      if (one.cut === true) return `${opOf(one)} (answer lost)`;
      return one.status === 200 ? opOf(one) : `${opOf(one)} (${one.status})`;
    });
  return counted(writes).join(", ") || "none";
}

/** `a, a, a, b` as `a ×3, b`. */
function counted(items: readonly string[]): string[] {
  const runs: { item: string; times: number }[] = [];
  for (const item of items) {
    const last = runs.at(-1);
    if (last?.item === item) last.times++;
    else runs.push({ item, times: 1 });
  }
  return runs.map(({ item, times }) => (times === 1 ? item : `${item} ×${times}`));
}

/** Virtual time for people: `3.5 s`, `2 min`. */
export function duration(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 100) / 10} s`;
  return `${Math.round(ms / 60_000)} min`;
}
