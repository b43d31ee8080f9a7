import { expect } from "chai";
import type { PlanPolicy } from "../../../src/plan/types.js";
import type { DesiredState } from "../../../src/desired/types.js";
import { declare, FakeProcess, Killed, Lab } from "../../support/fake-lab.js";

const head = (kind: string, name: string, more = "") =>
  `apiVersion: proxmoor.dev/v1\nkind: ${kind}\nmetadata: { name: ${name}${more} }\n`;

const FRESH = [
  `${head("VirtualMachine", "web-01")}spec: { node: pve1, power: running, cpu: { cores: 2 }, memory: 2Gi, disks: { scsi0: { storage: data, size: 4Gi } }, networks: { net0: { bridge: vmbr0 } } }`,
  `${head("Container", "db-01")}spec: { node: pve2, from: { template: "local:vztmpl/debian.tar.zst" }, memory: 512Mi, rootfs: { storage: data, size: 8Gi }, description: the database }`,
  `${head("VirtualMachine", "app-01")}spec: { node: pve1, from: { template: debian-12 }, cpu: { cores: 4 }, dependsOn: [Container/db-01] }`,
  `${head("VirtualMachine", "app-02")}spec: { node: pve1, from: { template: debian-12 }, power: stopped }`,
].join("\n---\n");

const CHANGED = [
  `${head("VirtualMachine", "web-01")}spec: { node: pve1, power: running, cpu: { cores: 3 }, disks: { scsi0: { storage: data, size: 6Gi } }, networks: { net0: { bridge: vmbr1 } }, lifecycle: { restart: allow } }`,
  `${head("Container", "db-01")}spec: { node: pve2, from: { template: "local:vztmpl/debian.tar.zst" }, memory: 768Mi, power: stopped, rootfs: { storage: data, size: 8Gi } }`,
].join("\n---\n");

const ADOPTED = [
  `${head("Container", "old-ct", ', annotations: { proxmoor.dev/adopt: "true" }')}spec: { node: pve1, memory: 1Gi, onBoot: true }`,
  `${head("VirtualMachine", "old-vm", ', annotations: { proxmoor.dev/adopt: "true" }')}spec: { node: pve1, memory: 1Gi, disks: { scsi0: { storage: data, size: 9Gi } } }`,
].join("\n---\n");

interface Scenario {
  readonly before: DesiredState | undefined;
  readonly desired: DesiredState;
  readonly policy?: Partial<PlanPolicy>;
}

const prunes = () => true;
const SCENARIOS: Record<string, Scenario> = {
  "makes guests": { before: undefined, desired: declare(FRESH) },
  "changes and removes guests": {
    before: declare(FRESH.replaceAll("spec: {", "spec: { lifecycle: { prune: delete },")),
    desired: declare(CHANGED),
    policy: { prunes },
  },
  "adopts guests": { before: undefined, desired: declare(ADOPTED) },
};

async function prepare({ before }: Scenario): Promise<Lab> {
  const lab = new Lab();
  const template = { name: "debian-12", cores: "1", memory: "1024", scsi0: "data:base-900-disk-0,size=2G" };
  lab.pve.add({ kind: "VirtualMachine", vmid: 900, template: true, config: template });
  lab.pve.add({
    kind: "Container",
    vmid: 901,
    config: { hostname: "old-ct", memory: "512", rootfs: "data:v,size=1G" },
  });
  lab.pve.add({
    kind: "VirtualMachine",
    vmid: 902,
    status: "running",
    config: { name: "old-vm", memory: "512", scsi0: "data:w,size=2G" },
  });
  if (before) await lab.apply(before);
  lab.pve.writes.length = 0;
  return lab;
}

/** One apply that dies at its n-th call, then whole ones as a person would start them. */
async function killed(scenario: Scenario, at: number, when: "before" | "after"): Promise<Lab> {
  const lab = await prepare(scenario);
  const process = new FakeProcess(lab.clock, { at, when });
  const { policy = {} } = scenario;
  await lab.apply(scenario.desired, { policy, process }).catch((error: unknown) => {
    if (!(error instanceof Killed)) throw error;
  });
  return lab;
}

async function expectConverged(lab: Lab, { desired, policy = {} }: Scenario, want: string): Promise<void> {
  const { text } = await lab.apply(desired, { policy });
  expect(text).to.not.match(/failed|skipped|interrupted/);
  expect(lab.pve.print()).to.equal(want);
  expect(lab.pve.violations).to.deep.equal([]);
  expect((await lab.apply(desired, { policy })).text).to.match(/^(\S+ done keep\n?)*$/);
  const made = lab.pve.tasks.filter((task) => /create|clone/.test(task.type) && task.exit === "OK");
  expect(new Set(made.map((task) => task.vmids.at(-1))).size, "guests made twice").to.equal(made.length);
  expect(await lab.stores.tasks.unfinished()).to.deep.equal([]);
  for (const resource of lab.fake.inventory.values()) expect(resource.phase).to.equal("ready");
}

describe("a run that dies anywhere", () => {
  for (const [name, scenario] of Object.entries(SCENARIOS))
    it(`${name}: the next run looks, goes on and converges, whichever call was the last`, async () => {
      const whole = await prepare(scenario);
      const process = new FakeProcess(whole.clock);
      const { policy = {} } = scenario;
      const { text } = await whole.apply(scenario.desired, { policy, process });
      expect(text).to.not.match(/failed|skipped/);
      const want = whole.pve.print();
      const problems: string[] = [];
      for (let at = 1; at <= process.calls; at++)
        for (const when of ["before", "after"] as const) {
          const lab = await killed(scenario, at, when);
          await expectConverged(lab, scenario, want).catch((error: unknown) =>
            problems.push(`${when} call ${at}: ${String(error)} ${String(Reflect.get(error as object, "actual"))}`),
          );
        }
      expect(problems.slice(0, 3).join("\n"), `${problems.length} kill points`).to.equal("");
    });
});
