import { expect } from "chai";
import { FakeProcess, Lab } from "../../support/fake-lab.js";
import { FakeController, FakeSource } from "../../support/fake-controller.js";
import { clone, ct, vm } from "../apply/manifests.js";

const MINUTE = 60_000;

function prepare(): { lab: Lab; source: FakeSource } {
  const lab = new Lab();
  lab.pve.add({ kind: "VirtualMachine", vmid: 900, template: true, config: { name: "debian-12" } });
  const source = new FakeSource();
  source.files.set("a.yaml", clone("web", "power: running, dependsOn: [ct/db]") + ct("db") + vm("app"));
  return { lab, source };
}

/** A controller whose process dies at its n-th call to the outside. */
function mortal(lab: Lab, source: FakeSource, process: FakeProcess): FakeController {
  const { replan: _replan, onEvent: _onEvent, ...ports } = lab.ports(process);
  return new FakeController(lab, { source, ports: { ...ports, reader: process.guard(lab.pve.reader) } });
}

describe("a controller that dies anywhere", () => {
  it("is taken over by the next one, which converges and makes nothing twice", async () => {
    const whole = prepare();
    const first = new FakeProcess(whole.lab.clock);
    await (await mortal(whole.lab, whole.source, first).start(MINUTE)).end();
    const want = whole.lab.pve.print();
    const problems: string[] = [];
    for (let at = 1; at <= first.calls; at += 5) {
      const { lab, source } = prepare();
      const process = new FakeProcess(lab.clock, { at, when: at % 2 === 0 ? "before" : "after" });
      const dying = await mortal(lab, source, process).start(MINUTE);
      dying.stop.abort();
      await lab.clock.pass(MINUTE);
      const next = await new FakeController(lab, { source, holder: "controller-2" }).start(3 * MINUTE);
      const made = lab.pve.writes.filter((write) => /^(create|clone)/.test(write));
      const open = (await lab.stores.tasks.unfinished()).length;
      if (lab.pve.print() !== want || made.length !== 3 || open > 0 || lab.pve.violations.length > 0)
        problems.push(
          [at, lab.pve.print(), ...made, `${open} open`, await lab.tasks(), ...lab.pve.violations, next.ended].join(
            "\n",
          ),
        );
      if (next.ended === undefined) await next.end();
    }
    expect(problems.slice(0, 2).join("\n"), `${problems.length} of ${first.calls}`).to.equal("");
  });
});
