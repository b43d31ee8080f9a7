import { expect } from "chai";
import fc from "fast-check";
import type { DesiredState } from "../../src/desired/types.js";
import type { FaultRule } from "../../src/simulator/index.js";
import { doubleWrites } from "../support/double-writes.js";
import { declare } from "../support/fake-lab.js";
import { WireLab, type WireSettings } from "../support/wire-lab.js";

/** Runs; a failure prints fast-check's seed and path, and `FAULT_SEED` plays it again. */
const RUNS = Number(process.env["FAULT_RUNS"] ?? 2000);
const SEED = Number(process.env["FAULT_SEED"] ?? Date.now() % 2 ** 31);

const head = (kind: string, name: string) =>
  `apiVersion: proxmoor.dev/v1\nkind: ${kind}\nmetadata: { name: ${name} }\n`;
const TEMPLATE = '"local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"';

/** Each guest as it is first declared, and as it is to become. */
const GUESTS = {
  web: ["memory: 1Gi, tags: [a]", "memory: 2Gi, tags: [a, b], lifecycle: { restart: never, prune: delete }"].map(
    (spec, n) =>
      `${head("VirtualMachine", "web")}spec: { node: pve1, power: running, ${spec}, disks: { scsi0: { storage: local-lvm, size: ${4 + n}Gi } } }`,
  ),
  app: ["cpu: { cores: 2 }", "cpu: { cores: 2 }, power: stopped, description: at rest"].map(
    (spec) => `${head("VirtualMachine", "app")}spec: { node: pve1, from: { template: debian-12 }, ${spec} }`,
  ),
  db: ["power: running", "power: stopped, onBoot: true, memory: 1Gi"].map(
    (spec, n) =>
      `${head("Container", "db")}spec: { node: pve2, from: { template: ${TEMPLATE} }, rootfs: { storage: local-lvm, size: ${2 + n}Gi }, ${spec} }`,
  ),
} as const;
type Name = keyof typeof GUESTS;
const NAMES = Object.keys(GUESTS) as Name[];

const known = new Map<string, DesiredState>();
function desiredOf(names: readonly Name[], stage: number): DesiredState {
  const text = names.map((name) => GUESTS[name][stage] ?? "").join("\n---\n");
  const state = known.get(text) ?? declare(text);
  known.set(text, state);
  return state;
}

const often = fc.record(
  { after: fc.nat(4), count: fc.integer({ min: 1, max: 3 }), probability: fc.constantFrom(0.1, 0.3, 0.7) },
  { requiredKeys: [] },
);
const requests = fc.constantFrom<FaultRule["match"]>(
  {},
  { method: "GET" },
  { method: ["POST", "PUT", "DELETE"] },
  { method: "POST", path: "/nodes/*/qemu" },
  { method: "POST", path: "/nodes/*/*/*/status/*" },
  { method: "PUT", path: "/nodes/*/*/*/config" },
  { method: "POST", path: "/nodes/*/qemu/*/clone" },
  { method: "GET", path: "/nodes/*/tasks/**" },
  { method: "GET", path: "/nodes/*/*/*/pending" },
);
const tasks = fc.constantFrom("qm*", "vz*", "*", "qmcreate", "qmstart", "qmclone", "resize").map((task) => ({ task }));
const moments = fc.oneof(
  fc.integer({ min: 1000, max: 30_000 }).map((every) => ({ every })),
  fc.nat(20_000).map((at) => ({ at })),
);
const lasting = fc.constantFrom(2_000, 20_000, 90_000);

const onRequests = fc.oneof(
  fc.constantFrom(10, 3_000, 45_000, 130_000, 200_000).map((ms) => ({ latency: { ms, jitter: ms } })),
  fc
    .record({ status: fc.constantFrom(500, 502, 503, 504, 595, 596, 597, 599), taken: fc.boolean() })
    .map((answer) => ({ answer })),
  fc.constantFrom("before" as const, "after" as const, "middle" as const).map((close) => ({ close })),
  fc.constant({ lock: true as const }),
  fc.constantFrom(["digest"], ["status"], ["key"], ["name", "vmid"]).map((missing) => ({ fields: { missing } })),
  fc.constant({ fields: { unknown: true } }),
);
const onTasks = fc.oneof(
  fc
    .record({
      how: fc.constantFrom("fail" as const, "hang" as const, "warn" as const, "vanish" as const),
      done: fc.boolean(),
    })
    .map((task) => ({ task })),
  fc.constant({ lock: true as const }),
  fc.constantFrom(2_000, 60_000).map((ms) => ({ latency: { ms } })),
);
const anywhere = fc.oneof(
  fc.record({ node: fc.constantFrom("pve1", "pve2"), for: lasting }).map((offline) => ({ offline })),
  lasting.map((ms) => ({ down: { for: ms } })),
  fc
    .constantFrom({ full: true }, { slow: 20_000 })
    .map((how) => ({ storage: { id: "local-lvm", for: 60_000, ...how } })),
  fc
    .constantFrom(["VM.PowerMgmt"], ["VM.Allocate"], ["VM.Audit"], ["Sys.Audit"])
    .chain((take) => lasting.map((ms) => ({ permission: { take, for: ms } }))),
  lasting.map((ms) => ({ expire: { for: ms } })),
  fc.constantFrom(-7_200_000, -400_000, 5_000, 3_500_000).map((ms) => ({ skew: { ms } })),
);
const deeds = fc
  .constantFrom(
    "edit" as const,
    "stop" as const,
    "delete" as const,
    "clone" as const,
    "migrate" as const,
    "reuse" as const,
  )
  .map((does) => ({ person: { does } }));

const rule: fc.Arbitrary<FaultRule> = fc
  .oneof(
    fc.record({ match: requests, effect: onRequests, often }),
    fc.record({ match: tasks, effect: onTasks, often }),
    fc.record({ match: fc.oneof(requests, tasks, moments), effect: fc.oneof(anywhere, deeds), often }),
  )
  .map(({ often: how, ...rest }) => ({ ...how, ...rest }));

const death = fc.record({
  at: fc.integer({ min: 1, max: 90 }),
  when: fc.constantFrom("before" as const, "after" as const),
});
const scenario = fc.record({
  seed: fc.nat(1_000_000),
  taskMs: fc.constantFrom(0, 1500),
  names: fc.subarray(NAMES, { minLength: 1, maxLength: 2 }),
  rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  /** Made while all was well, so that the faults meet changes and deletions. */
  begun: fc.boolean(),
  runs: fc.array(
    fc.record({ stage: fc.constantFrom(0, 1, 1, "delete" as const), dies: fc.option(death, { nil: undefined }) }),
    { minLength: 1, maxLength: 3 },
  ),
  withTicket: fc.boolean(),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

/** Plays a scenario: runs under faults, some of them killed, then all is well again and the last wish is carried out. */
async function play({ seed, taskMs, names, rules, begun, runs, withTicket }: Scenario): Promise<void> {
  const lab = await WireLab.open({ seed, taskMs });
  const { rootPassword } = lab.simulator.credentials;
  const auth = withTicket ? ({ kind: "ticket", username: "root@pam", password: rootPassword } as const) : undefined;
  const policy = { shutdown: { timeout: 60, force: true } };
  const settings: WireSettings = { patience: 400_000, policy, ...(auth && { auth }) };
  if (begun) await lab.apply(desiredOf(names, 0), settings);
  lab.simulator.faults.add(rules);
  for (const { stage, dies } of runs) {
    const how = { ...settings, ...(dies && { dies }) };
    const run = stage === "delete" ? lab.remove(keysOf(names), how) : lab.apply(desiredOf(names, stage), how);
    expectSane(await run);
  }
  lab.simulator.faults.clear();
  const last = await settled(lab, desiredOf(names, 1), settings);
  expect(doubleWrites(lab.simulator.requests)).to.deep.equal([]);
  await expectSingle(lab, names);
  const isAlone = rules.every(({ effect }) => !("person" in effect));
  if (isAlone) expect(last, last).to.match(/^(\S+ done \w+( \(waits: .*\))?\n?)+$/);
}

const keysOf = (names: readonly Name[]): string[] => names.map((name) => `${name === "db" ? "ct" : "vm"}/${name}`);

function expectSane({ text }: { text: string }): void {
  expect(text, text).to.not.contain("INTERNAL");
}

/** As a person would who runs it again until it is done. */
async function settled(lab: WireLab, desired: DesiredState, settings: WireSettings): Promise<string> {
  let text = "";
  for (let run = 0; run < 4; run++) {
    const report = await lab.apply(desired, settings);
    expectSane(report);
    ({ text } = report);
    if (!/failed|skipped|interrupted|\[/.test(text)) break;
    await lab.clock.pass(60_000);
  }
  return text;
}

async function expectSingle(lab: WireLab, names: readonly Name[]): Promise<void> {
  const guests = (await lab.pve("GET", "/cluster/resources", { type: "vm" })) as { name?: string }[];
  const ours = guests.filter(({ name }) => (names as readonly string[]).includes(name ?? "")).map(({ name }) => name);
  expect(new Set(ours).size, `guests: ${ours.join(", ")}`).to.equal(ours.length);
}

describe("no write is sent twice without a look in between", () => {
  it(`under every fault, proven from the request log (${RUNS} seeds)`, async function () {
    this.timeout(600_000);
    await fc.assert(fc.asyncProperty(scenario, play), { numRuns: RUNS, seed: SEED, endOnFailure: false });
  });
});
