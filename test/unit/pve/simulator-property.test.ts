import { setTimeout as delay } from "node:timers/promises";

import { expect } from "chai";
import fc from "fast-check";

import type { ObservedGuest } from "../../../src/observed/types.js";
import type { FieldDiff, Step, StepTarget } from "../../../src/plan/types.js";
import type { Kind } from "../../../src/model/ref.js";
import { createPve } from "../../../src/pve/index.js";
import type { Pve } from "../../../src/pve/index.js";
import { createSimulator } from "../../../src/simulator/index.js";
import type { Simulator } from "../../../src/simulator/index.js";
import { followTask } from "../../../src/tasks/follow.js";
import { containerFields, vmFields } from "./arbitraries.js";
import type { Fields, World } from "./arbitraries.js";

const ID = "11111111-0000-4000-8000-000000000001";
const TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst";
const DEVICE = /^(disks|networks|mounts)\.[a-z]+\d+/;

/** What the simulator's demo cluster has, and what its administrator's token may do. */
const lab: World = {
  storage: fc.constantFrom("local-lvm", "nas"),
  bridge: fc.constantFrom("vmbr0", "vmbr1"),
  formats: [],
  features: ["nesting"],
  privileged: false,
  bindMounts: false,
};

function deviceOf(path: string): string | undefined {
  return DEVICE.exec(path)?.[0];
}

function devicesOf(fields: Fields): Set<string> {
  return new Set(Object.keys(fields).flatMap((path) => deviceOf(path) ?? []));
}

/** The changes from one set of fields to another, as the planner has them: devices come and go as a whole. */
function changesBetween(before: Fields, after: Fields): FieldDiff[] {
  const [had, has] = [devicesOf(before), devicesOf(after)];
  const fixed = /^(unprivileged|name|hostname|rootfs\..*)$|\.(mac|name|model)$/;
  const isVolume = (path: string): boolean => had.has(deviceOf(path) ?? "") && /\.(storage|size)$/.test(path);
  const set = Object.entries(after).filter(
    ([path]) => !/^(unprivileged|rootfs\.(storage|size))$/.test(path) && !isVolume(path),
  );
  const gone = Object.keys(before).filter((path) => {
    const device = deviceOf(path);
    return !(path in after) && !fixed.test(path) && (device === undefined || has.has(device));
  });
  const removed = [...had].filter((device) => !has.has(device));
  return [
    ...set.map(([path, to]): FieldDiff => ({ path, to, effect: "live" })),
    ...[...gone, ...removed].map((path): FieldDiff => ({ path, effect: "live" })),
  ];
}

describe("any fields, made and changed in the simulator", () => {
  let simulator: Simulator;
  let pve: Pve;
  let vmid = 1000;

  before(async () => {
    simulator = await createSimulator({ seed: 7, taskDuration: () => 0, speed: 1000, authDelay: 1 });
    const auth = { kind: "token", token: simulator.credentials.token } as const;
    pve = createPve({ endpoint: simulator.url, auth, tls: { fingerprint: simulator.fingerprint } });
  });
  after(async () => {
    await pve.close();
    await simulator.stop();
  });

  async function look(target: StepTarget): Promise<ObservedGuest> {
    const sight = await pve.sender.look(target);
    if (sight.at !== "present") throw new Error(`${target.vmid} is ${sight.at}`);
    return sight.guest;
  }

  async function run(step: Step, base: ObservedGuest | undefined): Promise<void> {
    const { upid } = await pve.sender.send(step, base);
    if (upid === undefined) return;
    const { exit } = await followTask(pve.tasks, upid, { sleep: () => delay(2) });
    expect(exit).to.equal("OK");
  }

  /** Makes a guest with some fields, changes it to others, and finds both times what was asked for. */
  async function live(kind: Kind, before: Fields, after: Fields): Promise<void> {
    const target: StepTarget = { kind, vmid: (vmid += 1), node: "pve1", identity: ID };
    await run({ op: "create", target, fields: before, template: TEMPLATE }, undefined);
    const made = await look(target);
    // a feature that is off is not sent: PVE has it off, and lets only root say so
    const isOff = (path: string, value: unknown) => path.startsWith("features.") && value === false;
    expect(made.fields).to.deep.include(
      Object.fromEntries(Object.entries(before).filter(([path, value]) => !isOff(path, value))),
    );
    const changes = changesBetween(before, after);
    const configure: Step = { op: "configure", target, changes };
    await run(configure, made);
    const changed = await look(target);
    for (const { path, to } of changes) {
      if (isOff(path, to ?? false)) expect(changed.fields[path] ?? false).to.equal(false);
      else if (to !== undefined) expect(changed.fields).to.deep.include({ [path]: to });
      else if (path !== "memory" && path !== "swap") {
        const left = Object.keys(changed.fields).filter((field) => field === path || field.startsWith(`${path}.`));
        expect(left).to.deep.equal([]);
      }
    }
    expect(changed.identities).to.deep.equal([ID]);
    expect(pve.sender.describe(configure, changed).params).to.deep.equal({});
    await run({ op: "destroy", target }, changed);
  }

  it("of a VM", async () => {
    // an IDE disk can't take the slot that the cloud-init drive was given
    const fits = ([before, after]: [Fields, Fields]): boolean =>
      !("cloudInit.storage" in before && "disks.ide2.storage" in after && !("disks.ide2.storage" in before));
    const pairs = fc.tuple(vmFields(lab), vmFields(lab)).filter(fits);
    await fc.assert(
      fc.asyncProperty(pairs, ([before, after]) => live("VirtualMachine", before, after)),
      { numRuns: 25 },
    );
  });

  it("of a container", async () => {
    await fc.assert(
      fc.asyncProperty(containerFields(lab), containerFields(lab), (before, after) => live("Container", before, after)),
      { numRuns: 25 },
    );
  });
});
