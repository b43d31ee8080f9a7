import { expect } from "chai";
import type { Resource } from "../../src/plan/types.js";
import { describeStore, NOW } from "../support/database.js";

const web: Resource = {
  ref: { kind: "VirtualMachine", name: "web" },
  vmid: 100,
  node: "pve1",
  identity: "2f1c6c53-6a3e-4d1e-9a5e-0a4c2f6f9c01",
  phase: "ready",
  lastApplied: { memory: 4_294_967_296, tags: ["b", "a"], onBoot: true, "cpu.type": "host" },
  labels: { app: "web" },
  source: "manifests",
  prune: "delete",
  generation: 3,
  observedGeneration: 2,
  conditions: [
    { type: "Ready", status: "True", reason: "Applied", message: "ok", lastTransition: NOW, observedGeneration: 2 },
  ],
};
const db: Resource = { ...web, ref: { kind: "Container", name: "web" }, vmid: 200 };

describeStore("ResourceStore", (database) => {
  it("gives back what was saved, whole", async () => {
    const { resources } = await (await database()).open();
    await resources.save(web);
    await resources.save(db);
    expect(await resources.find(web.ref)).deep.equal(web);
    expect(await resources.find({ kind: "Container", name: "nobody" })).equal(undefined);
    expect(await resources.inventory(NOW)).deep.equal({ resources: [db, web], unavailableVmids: new Set([100, 200]) });
  });

  it("replaces a resource of the same kind and name", async () => {
    const { resources } = await (await database()).open();
    await resources.save(web);
    const next: Resource = { ...web, vmid: 101, phase: "deleting", labels: {}, conditions: [] };
    await resources.save(next);
    expect((await resources.inventory(NOW)).resources).deep.equal([next]);
  });

  it("refuses a vmid that another resource has, and names both", async () => {
    const { resources } = await (await database()).open();
    await resources.save(web);
    const error = await resources.save({ ...db, vmid: 100 }).catch((e: unknown) => e);
    expect(error).deep.include({
      code: "DB_DUPLICATE",
      message: "vmid 100 can't be given to ct/web: vm/web has it",
      subject: "ct/web",
    });
    expect(await resources.find(db.ref)).equal(undefined);
  });

  it("gives one of two that take a vmid at once the error that names both", async () => {
    const store = await database();
    const [a, b] = [await store.open(), await store.open()];
    const outcomes = await Promise.allSettled([a.resources.save(web), b.resources.save({ ...db, vmid: 100 })]);
    const [failed] = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(failed?.reason).deep.include({ code: "DB_DUPLICATE" });
    expect(String(failed?.reason)).match(/vmid 100 .*(vm\/web|ct\/web).* (vm\/web|ct\/web) has it/);
  });

  it("keeps a freed vmid back until its quarantine ends", async () => {
    const { resources } = await (await database()).open();
    await resources.save(web);
    await resources.remove(web.ref, NOW + 1000);
    await resources.remove(web.ref, NOW + 9000);
    const vmids = async (now: number) => [...(await resources.inventory(now)).unavailableVmids];
    expect(await vmids(NOW + 999)).deep.equal([100]);
    expect(await vmids(NOW + 1000)).deep.equal([]);
    // Taken again on purpose, it is a resource's and no longer in quarantine.
    await resources.save({ ...db, vmid: 100 });
    await resources.save(db);
    expect(await vmids(NOW)).deep.equal([200]);
  });
});
