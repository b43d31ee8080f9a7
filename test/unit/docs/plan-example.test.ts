import { expect } from "chai";
import { renderPlan } from "../../../src/plan/render.js";
import { disruptionsOf } from "../../../src/plan/steps.js";
import { summarise } from "../../../src/plan/plan.js";
import type { Change, FieldDiff, StepTarget } from "../../../src/plan/types.js";
import type { DesiredGuest } from "../../../src/desired/types.js";
import { codeBlocks, readText } from "./pages.js";

const GIB = 2 ** 30;

function change(name: string, rest: Partial<Change> & Pick<Change, "action">): Change {
  return {
    ref: { kind: "VirtualMachine", name },
    node: "pve1",
    fields: [],
    disruptions: [],
    steps: [],
    after: [],
    notes: [],
    fingerprint: "",
    ...rest,
  };
}

describe("the plan in docs/guide/planning.md", () => {
  it("is one that the planner prints", () => {
    const fields: FieldDiff[] = [
      { path: "cpu.cores", from: 2, to: 4, effect: "restart" },
      { path: "disks.scsi0.size", from: 32 * GIB, to: 64 * GIB, effect: "live" },
    ];
    const update = change("web-01", { action: "update", vmid: 101, fields });
    const target: StepTarget = { kind: "VirtualMachine", vmid: 102, node: "pve1", identity: "" };
    const changes = [
      {
        ...update,
        power: { from: "running", to: "running (restarted)" },
        disruptions: disruptionsOf(
          { ref: update.ref, lifecycle: { restart: "ask" } } as DesiredGuest,
          fields,
          "cpu.cores",
        ),
      },
      change("web-02", {
        action: "create",
        vmid: 102,
        fields: [
          { path: "cpu.cores", to: 2, effect: "live" },
          { path: "memory", to: 4 * GIB, effect: "live" },
          { path: "name", to: "web-02", effect: "live" },
        ],
        steps: [{ op: "start", target }],
        notes: ["linked clone of debian-12 (vmid 9000)"],
      }),
      ...Array.from({ length: 40 }, (_, index) => change(`other-${index}`, { action: "keep" })),
    ];
    const plan = { changes, summary: summarise(changes), warnings: [] };
    expect(codeBlocks(readText("docs/guide/planning.md"), "diff")[0]).equal(renderPlan(plan));
  });
});
