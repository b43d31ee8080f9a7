import { expect } from "chai";
import type { ApplyEvent } from "../../../src/apply/events.js";
import { Limit } from "../../../src/apply/limit.js";
import { declare, Lab } from "../../support/fake-lab.js";
import { clone, ct, vm } from "./manifests.js";

const TEMPLATE = { kind: "VirtualMachine", vmid: 900, template: true, config: { name: "debian-12" } } as const;

function lab(): Lab {
  const one = new Lab();
  one.pve.add(TEMPLATE);
  return one;
}

/** The most tasks of a kind that PVE ran at the same time. */
function most(tasks: Lab["pve"]["tasks"], isOne: (task: Lab["pve"]["tasks"][number]) => boolean): number {
  const own = tasks.filter(isOne);
  return Math.max(0, ...own.map((at) => own.filter((one) => one.start <= at.start && one.end > at.start).length));
}

function order(events: readonly ApplyEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.type === "change-started") return [`${event.key} starts`];
    if (event.type === "change-done") return [`${event.key} done`];
    return event.type === "change-failed" ? [`${event.key} failed`] : [];
  });
}

describe("the order of a run", () => {
  it("clones one at a time from one source, everything else beside it", async () => {
    const one = lab();
    one.pve.add({ ...TEMPLATE, vmid: 901, config: { name: "debian-13" } });
    const names = ["a", "b", "c", "d"];
    const other = clone("e").replace("debian-12", "debian-13");
    await one.apply(declare(names.map((name) => clone(name)).join("") + other + vm("x") + vm("y")));
    expect(most(one.pve.tasks, (task) => task.type === "qmclone" && task.id === "900")).to.equal(1);
    expect(most(one.pve.tasks, (task) => task.type === "qmclone")).to.equal(2);
    expect(most(one.pve.tasks, () => true)).to.be.greaterThan(2);
  });

  it("bounds the steps on one node, and in all", async () => {
    const many = declare(
      [..."abcdefghij"].map((name) => vm(name)).join("") + [..."abcdefghij"].map((name) => ct(name)).join(""),
    );
    const perNode = lab();
    await perNode.apply(many, { options: { concurrency: 100, perNode: 3 } });
    for (const node of ["pve1", "pve2"]) expect(most(perNode.pve.tasks, (task) => task.node === node)).to.equal(3);
    const inAll = lab();
    await inAll.apply(many, { options: { concurrency: 4, perNode: 100 } });
    expect(most(inAll.pve.tasks, () => true)).to.equal(4);
  });

  it("waits for what a guest depends on, through a chain", async () => {
    const { events, text } = await lab().apply(
      declare(
        vm("a", "power: running, dependsOn: [vm/b]") + vm("b", "power: running, dependsOn: [ct/c]") + ct("c") + vm("d"),
      ),
    );
    expect(order(events).filter((line) => !line.startsWith("vm/d"))).to.deep.equal(
      ["ct/c", "vm/b", "vm/a"].flatMap((key) => [`${key} starts`, `${key} done`]),
    );
    expect(text).to.match(/^(\S+ done create\n?){4}$/);
  });

  it("a failure stops what depends on it, and nothing else", async () => {
    const one = lab();
    one.pve.faults.push({ op: "create", vmid: 100, how: "task", text: "no space" });
    const { text } = await one.apply(
      declare(
        ct("a") + vm("b", "power: running, dependsOn: [ct/a]") + vm("c", "power: running, dependsOn: [vm/b]") + vm("d"),
      ),
    );
    expect(text).to.equal(
      [
        "ct/a failed create [PVE_TASK_FAILED] no space",
        "vm/b skipped create: ct/a failed",
        "vm/c skipped create: vm/b was not done",
        "vm/d done create",
      ].join("\n"),
    );
  });
});

describe("Limit", () => {
  it("hands a place on to the first that waits, also after an error", async () => {
    const limit = new Limit(1);
    const seen: string[] = [];
    const work = (name: string, fails = false) =>
      limit.run(async () => {
        seen.push(`${name} in`);
        await Promise.resolve();
        seen.push(`${name} out`);
        if (fails) throw new Error(name);
      });
    const all = await Promise.allSettled([work("a", true), work("b"), work("c")]);
    await work("d");
    expect(seen.join(", ")).to.equal("a in, a out, b in, b out, c in, c out, d in, d out");
    expect(all.map((one) => one.status)).to.deep.equal(["rejected", "fulfilled", "fulfilled"]);
  });
});
