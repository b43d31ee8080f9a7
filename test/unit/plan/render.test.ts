import { expect } from "chai";
import { stringify } from "yaml";
import type { DesiredGuest } from "../../../src/desired/types.js";
import type { Kind, Ref } from "../../../src/model/ref.js";
import { formatValue } from "../../../src/plan/format.js";
import { guardPlan, hasChanges } from "../../../src/plan/guards.js";
import { orderChanges } from "../../../src/plan/order.js";
import { summarise } from "../../../src/plan/plan.js";
import { planToJson, renderPlan, renderSummary } from "../../../src/plan/render.js";
import type { Change, Plan, Step } from "../../../src/plan/types.js";

function change(name: string, rest: Partial<Change> = {}): Change {
  const ref: Ref = { kind: "VirtualMachine", name };
  const desired = { ref } as DesiredGuest;
  return {
    ...{
      action: "update",
      ref,
      desired,
      fields: [],
      disruptions: [],
      steps: [],
      after: [],
      notes: [],
      fingerprint: "x",
    },
    ...rest,
  };
}

function plan(...changes: Change[]): Plan {
  return { changes, summary: summarise(changes), warnings: [] };
}

const target = { kind: "VirtualMachine" as Kind, vmid: 1, node: "n", identity: "i" };
const destroy: Step = { op: "destroy", target };

describe("a plan as text", () => {
  const values: readonly (readonly [path: string, value: Parameters<typeof formatValue>[1], text: string])[] = [
    ["memory", 4294967296, "4Gi"],
    ["swap", 0, "0"],
    ["disks.scsi0.size", 1000, "1000"],
    ["cpu.cores", 1024, "1024"],
    ["tags", [], "[]"],
    ["tags", ["a", "b"], "[a, b]"],
    ["onBoot", false, "false"],
    ["description", "", '""'],
    ["description", "two\nlines", String.raw`"two\nlines"`],
    ["description", "a # b", '"a # b"'],
    ["description", " blank ", '" blank "'],
    ["description", "\u001b[31mred", String.raw`"\u001b[31mred"`],
    ["description", "größer", "größer"],
  ];
  for (const [path, value, text] of values)
    it(`${path} ${JSON.stringify(value)} is ${text}`, () => expect(formatValue(path, value)).to.equal(text));

  it("has one header per object, from nothing to nothing", () => {
    const text = renderPlan(
      plan(
        change("new", {
          action: "create",
          vmid: 101,
          node: "pve1",
          fields: [{ path: "memory", to: 2 ** 30, effect: "live" }],
        }),
        change("old", {
          action: "delete",
          vmid: 102,
          node: "pve1",
          steps: [destroy],
          disruptions: [{ kind: "delete", text: "delete vm/old" }],
        }),
        change("same", { action: "keep" }),
        change("kept", { action: "keep", notes: ["stays"], vmid: 103 }),
      ),
    );
    expect(text).to.equal(`--- /dev/null
+++ vm/new desired (vmid 101 on pve1)
@@ create @@
+memory: 1Gi
+power: stopped

--- vm/old live (vmid 102 on pve1)
+++ /dev/null
@@ delete @@

--- vm/kept live (vmid 103)
+++ vm/kept desired
@@ keep @@
 # stays

Disruptions:
  ! delete vm/old

1 to create, 0 to change, 1 to delete, 2 unchanged
`);
  });

  it("says of each line what it does, and what goes", () => {
    const fields: Change["fields"] = [
      { path: "cpu.cores", from: 1, to: 2, effect: "restart" },
      { path: "description", from: "a\nb", effect: "live" },
      { path: "disks.scsi0.size", from: 2 ** 31, to: 2 ** 30, effect: "live" },
      { path: "disks.scsi1", from: "storage=x", effect: "live" },
      { path: "networks.net1", effect: "restart" },
      { path: "tags", from: ["a"], to: [], effect: "live" },
    ];
    const warned = { ...plan(change("a", { fields, reason: "why", remedy: "what" })), warnings: ["pve2 is silent"] };
    expect(renderPlan(warned)).to.equal(`--- vm/a live
+++ vm/a desired
@@ update @@
! why
! what
-cpu.cores: 1
+cpu.cores: 2  # restart
-description: "a\\nb"  # back to PVE's default, live
-disks.scsi0.size: 2Gi
+disks.scsi0.size: 1Gi  # not possible
-disks.scsi1: storage=x  # detached, live
-networks.net1  # removed, restart
-tags: [a]
+tags: []  # live

Warning: pve2 is silent
0 to create, 1 to change, 0 to delete, 0 unchanged
`);
  });

  it("counts", () => {
    const all = { create: 3, update: 2, replace: 1, delete: 0, adopt: 4, blocked: 5, unchanged: 40, restarts: 1 };
    expect(renderSummary(all)).to.equal(
      "3 to create, 2 to change (1 restarts), 1 to replace, 0 to delete, 4 to adopt, 40 unchanged, 5 blocked",
    );
    expect(renderPlan(plan())).to.equal("0 to create, 0 to change, 0 to delete, 0 unchanged\n");
  });
});

describe("a plan for programs", () => {
  it("has nothing undefined in it, in JSON and in YAML", () => {
    const json = planToJson(plan(change("a", { fields: [{ path: "memory", to: 1024, effect: "live" }] }), change("b")));
    expect(stringify(json)).to.equal(stringify(JSON.parse(JSON.stringify(json))));
    expect(json).to.deep.equal(JSON.parse(JSON.stringify(json)));
    expect(json).to.have.nested.property("changes[0].fields[0].to", 1024);
  });

  it("gives names of steps, never their contents", () => {
    expect(planToJson(plan(change("a", { steps: [destroy] })))).to.have.deep.nested.property("changes[0].steps", [
      "destroy",
    ]);
  });
});

describe("guards", () => {
  it("count what is destroyed, not what is gone already", () => {
    const doomed = plan(
      change("a", { action: "delete", steps: [destroy] }),
      change("b", { action: "replace", steps: [destroy] }),
      change("c", { action: "delete" }),
    );
    expect(() => guardPlan(doomed, { maxDeletes: 2 })).not.to.throw();
    expect(() => guardPlan(doomed, { maxDeletes: 1 })).to.throw("would destroy 2 guests and at most 1");
  });

  it("tell a plan with something in it from one without", () => {
    expect(hasChanges(plan(change("a", { action: "keep" })))).to.equal(false);
    expect(hasChanges(plan(change("a", { action: "blocked" })))).to.equal(true);
  });
});

describe("the order of changes", () => {
  const orderOf = (...changes: Change[]) =>
    orderChanges(changes)
      .map(({ ref }) => ref.name)
      .join(" ");

  it("puts each behind what it waits for, and else leaves them as they are", () => {
    const [a, b, c] = [change("a", { after: ["vm/c"] }), change("b"), change("c", { after: ["vm/elsewhere"] })];
    expect(orderOf(a, b, c)).to.equal("c a b");
    expect(orderChanges([a, b, c]).map(({ after }) => after)).to.deep.equal([[], ["vm/c"], []]);
  });

  it("visits what several wait for once", () => {
    const both = { after: ["vm/c", "vm/d"] };
    expect(orderOf(change("a", both), change("b", both), change("c", { after: ["vm/d"] }), change("d"))).to.equal(
      "d c a b",
    );
  });

  it("blocks the members of a circle, with nothing left to do, and says so of what waits for them", () => {
    const restart = { disruptions: [{ kind: "restart" as const, text: "restart" }], steps: [destroy] };
    const ordered = orderChanges([
      change("a", { after: ["vm/b"], ...restart, power: { from: "running", to: "stopped" } }),
      change("b", { after: ["vm/a"] }),
      change("c", { after: ["vm/a"] }),
      change("d", { after: ["vm/c"], action: "keep" }),
    ]);
    expect(renderPlan(plan(...ordered))).to.equal(`--- vm/b live
+++ vm/b desired
@@ blocked @@
! dependsOn goes in a circle: vm/a → vm/b → vm/a
! Take one of them out.

--- vm/a live
+++ vm/a desired
@@ blocked @@
! dependsOn goes in a circle: vm/a → vm/b → vm/a
! Take one of them out.

--- vm/c live
+++ vm/c desired
@@ update @@
 # is not done before vm/a

0 to create, 1 to change, 0 to delete, 1 unchanged, 2 blocked
`);
    expect(ordered.flatMap(({ steps }) => steps)).to.be.empty;
  });

  it("walks a chain of twenty thousand", () => {
    const chain = Array.from({ length: 20_000 }, (_, index) => change(`${index}`, { after: [`vm/${index + 1}`] }));
    expect(orderChanges(chain)[0]?.ref.name).to.equal("19999");
  });
});
