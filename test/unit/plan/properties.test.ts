import { expect } from "chai";
import fc from "fast-check";
import type { DesiredState } from "../../../src/desired/types.js";
import { refKey } from "../../../src/model/ref.js";
import { planChanges } from "../../../src/plan/plan.js";
import { planToJson, renderPlan } from "../../../src/plan/render.js";
import type { Change, Plan, Resource, Step } from "../../../src/plan/types.js";
import { applyPlan, type Applied } from "../../support/plan-apply.js";
import { parseInventory } from "../../support/plan-cluster.js";
import { observeModel, type ModelCluster } from "../../support/plan-model.js";
import { desiredOf, EMPTY_CLUSTER, incidents, manifests, struck } from "../../support/plan-random.js";

const { policy } = parseInventory("policy: { prune: true, allowReplace: [ct/a, ct/b] }", { guests: [] });

/** A cluster in which Proxmoor has worked, things have happened since, and something else is declared now. */
interface Scene {
  readonly desired: DesiredState;
  readonly cluster: ModelCluster;
  readonly resources: readonly Resource[];
}

async function planOn({ desired, cluster, resources }: Scene): Promise<Plan> {
  const known = new Map(resources.map((one) => [one.vmid, one.node]));
  const observed = await observeModel(cluster, known);
  return planChanges({ desired, observed, inventory: { resources, unavailableVmids: new Set([101]) }, policy });
}

const scenes = fc.record({ before: manifests, now: manifests, what: incidents, stranger: fc.boolean() });
type Story = typeof scenes extends fc.Arbitrary<infer T> ? T : never;

async function sceneOf({ before, now, what, stranger }: Story): Promise<Scene> {
  const empty: Scene = { desired: desiredOf(before), cluster: EMPTY_CLUSTER, resources: [] };
  const { cluster, resources } = await applyPlan(await planOn(empty), EMPTY_CLUSTER, []);
  return { desired: desiredOf(now), cluster: struck(cluster, what, stranger), resources };
}

function holds(name: string, check: (scene: Scene, plan: Plan) => void | Promise<void>): void {
  it(name, () =>
    fc.assert(
      fc.asyncProperty(scenes, async (story) => {
        const scene = await sceneOf(story);
        await check(scene, await planOn(scene));
      }),
      { numRuns: 100 },
    ),
  );
}

const opsOf = (change: Change) => new Set<Step["op"]>(change.steps.map((step) => step.op));
const kindsOf = (change: Change) => new Set(change.disruptions.map((one) => one.kind));

async function applied(scene: Scene, plan: Plan): Promise<Applied> {
  return applyPlan(plan, scene.cluster, scene.resources);
}

describe("planning, whatever is declared and whatever has happened", () => {
  holds("gives the same plan whatever the order of what goes in", async (scene, plan) => {
    const reversed: Scene = {
      desired: { guests: [...scene.desired.guests].reverse() },
      cluster: {
        nodes: [...scene.cluster.nodes].reverse(),
        storages: [...scene.cluster.storages].reverse(),
        guests: new Map([...scene.cluster.guests].reverse()),
      },
      resources: [...scene.resources].reverse(),
    };
    const again = await planOn(reversed);
    expect(renderPlan(again)).to.equal(renderPlan(plan));
    expect(JSON.stringify(planToJson(again))).to.equal(JSON.stringify(planToJson(plan)));
  });

  holds("leaves nothing to do once it is applied", async (scene, plan) => {
    const { cluster, resources } = await applied(scene, plan);
    const blocked = new Set(plan.changes.filter((one) => one.action === "blocked").map((one) => refKey(one.ref)));
    const second = await planOn({ ...scene, cluster, resources });
    const left = second.changes.filter((one) => one.action !== "keep" && !blocked.has(refKey(one.ref)));
    expect(renderPlan({ ...second, changes: left, warnings: [] })).to.match(/^0 to create/, renderPlan(plan));
  });

  holds("touches no guest that is not ours, unless it is adopted", async ({ cluster, resources }, plan) => {
    for (const change of plan.changes)
      for (const { op, target } of change.steps) {
        const guest = cluster.guests.get(target.vmid);
        if (!guest || change.action === "adopt") continue;
        const owner = resources.find((one) => one.vmid === target.vmid);
        const uuid = JSON.stringify([guest.current["smbios1"], guest.current["description"]]);
        expect(owner && refKey(owner.ref), `${op} of ${target.vmid}`).to.equal(refKey(change.ref));
        expect(uuid).to.include(owner?.identity);
      }
  });

  holds("destroys only what is deleted or replaced, and asks about every disruption", (_scene, plan) => {
    for (const change of plan.changes) {
      const [ops, kinds] = [opsOf(change), kindsOf(change)];
      if (ops.has("destroy")) expect(change.action).to.be.oneOf(["delete", "replace"]);
      if (ops.has("destroy")) expect(kinds).to.include(change.action);
      if (ops.has("reboot")) expect(kinds).to.include("restart");
      if (ops.has("stop") || ops.has("shutdown")) expect([...kinds].join()).to.match(/stop|delete|replace/);
      const detached = change.fields.filter((one) => /^(disks|mounts)\.[a-z]+\d+$/.test(one.path));
      if (detached.length > 0 && ops.has("configure")) expect(kinds).to.include("detach");
      if (change.steps.length === 0) expect(kinds).to.be.empty;
      if (change.action === "blocked") expect(change.steps).to.be.empty;
    }
  });

  holds("says live of what PVE changes at once, and restart of what it lets wait", async (scene, plan) => {
    const unfinished = plan.changes.map((one) => ({ ...one, steps: one.steps.filter((step) => step.op !== "reboot") }));
    const { cluster } = await applied(scene, { ...plan, changes: unfinished });
    for (const change of plan.changes) {
      const before = scene.cluster.guests.get(change.vmid ?? 0);
      const after = cluster.guests.get(change.vmid ?? 0);
      if (!/update|adopt/.test(change.action) || !before || !after || before.status === "stopped") continue;
      const isWaiting = JSON.stringify(after.pending) !== JSON.stringify(before.pending);
      const says = change.fields.some((one) => one.effect === "restart");
      expect(isWaiting, renderPlan({ ...plan, changes: [change] })).to.equal(says);
    }
  });

  holds("gives out each vmid once, and none that is taken", ({ cluster, resources }, plan) => {
    const made = plan.changes.filter((one) => one.action === "create").map((one) => one.vmid);
    expect(new Set(made).size).to.equal(made.length);
    const ours = new Set(resources.map((one) => one.vmid));
    for (const vmid of made) {
      expect(cluster.guests.has(vmid ?? 0)).to.equal(false);
      expect(vmid === 101 && !ours.has(101), "a quarantined vmid").to.equal(false);
    }
  });
});
