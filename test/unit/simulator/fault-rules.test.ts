import { writeFile } from "node:fs/promises";
import path from "node:path";
import { expect } from "chai";
import { faultRules, parseFaults } from "../../../src/cli/commands/simulator-faults.js";
import { messageOf } from "../../../src/model/errors.js";
import { createSimulator, FaultRuleError, type FaultRule } from "../../../src/simulator/index.js";
import { proxmoor, temporaryFolder } from "../../support/cli.js";

/** Rules in, what is wrong with them out. */
function told(text: string): string {
  try {
    parseFaults(text, "faults.yaml");
    return "nothing";
  } catch (error) {
    return messageOf(error);
  }
}

describe("rules of faults", () => {
  it("may be one, a list, or under faults; short forms are written out", () => {
    const rule = "{match: {task: qm*}, effect: {task: hang}}";
    const full = [{ match: { task: "qm*" }, effect: { task: { how: "hang" } } }];
    for (const text of [rule, `[${rule}]`, `faults: [${rule}]`]) expect(parseFaults(text, "x")).to.deep.equal(full);
    const short = (effect: string): unknown => parseFaults(`{match: {}, effect: {${effect}}}`, "x")[0]?.effect;
    expect(short("latency: 5")).to.deep.equal({ latency: { ms: 5 } });
    expect(short("answer: 596")).to.deep.equal({ answer: { status: 596 } });
    expect(short("offline: pve1")).to.deep.equal({ offline: { node: "pve1" } });
    expect(short("person: [edit, stop]")).to.deep.equal({ person: { does: ["edit", "stop"] } });
    expect(short("permission: {take: VM.Audit}")).to.deep.equal({ permission: { take: ["VM.Audit"] } });
    expect(short("fields: {missing: vmid}")).to.deep.equal({ fields: { missing: ["vmid"] } });
  });

  it("are refused with all that is wrong, each where it stands", () => {
    const text = `faults:
  - match: { method: PTU, path: nodes }
    count: 0
    effect: { close: soon }
  - match: { task: qmstart, every: 5 }
    effect: { close: before }
  - match: { task: qmstart }
    effect: { answer: 596 }
  - effect: { latency: 5, lock: true }
  - match: {}
    probability: 2
    effcet: 1
  - match: {}
    effect: { permission: { take: VM.Monitor } }
`;
    expect(told(text)).to.equal(
      `faults.yaml:2:22: faults[0].match.method must be one of GET, POST, PUT, DELETE, not "PTU"
faults.yaml:2:33: faults[0].match.path must be a path below /api2/json that begins with a slash, not "nodes"
faults.yaml:3:12: faults[0].count must be a whole number from 1, not 0
faults.yaml:4:22: faults[0].effect.close must be one of before, after, middle, not "soon"
faults.yaml:5:12: faults[1].match must be about requests (method, path), tasks (task) or time (every, at)
faults.yaml:8:23: faults[2].effect.answer is set off by a request, and the match is about task
faults.yaml:9:5: faults[3] lacks match
faults.yaml:9:13: faults[3].effect must have one field, one of latency, answer, close, idle, lock, fields, task, offline, down, storage, permission, expire, person, skew, not {"latency":5,"lock":true}
faults.yaml:10:5: faults[4] lacks effect
faults.yaml:11:18: faults[4].probability must be a number from 0 to 1, not 2
faults.yaml:12:13: faults[4].effcet there is no such field; there are name, match, after, count, probability, effect
faults.yaml:14:35: faults[5].effect.permission.take must be one of PVE's privileges (VM.PowerMgmt …), not "VM.Monitor"`,
    );
  });

  for (const [text, why] of [
    ["faults: 3", "faults.yaml:1:9: faults must be a list of rules, not 3"],
    ["", "faults.yaml:1:1: faults must be a list of rules, not null"],
    ["[{", "faults.yaml:1:3: "],
    ["{match: {}, effect: {answer: 404}}", "must be a status from 500 to 599, not 404"],
    ["{match: {}, effect: {lock: false}}", "must be true, not false"],
    ["{match: {}, effect: {idle: -1}}", "must be a whole number from 0, not -1"],
    ["{match: {at: 5}, effect: {idle: 1}}", "is set off by a request, and the match is about time"],
    ["{match: {}, effect: {person: []}}", "must not be empty"],
  ] as const)
    it(`refuses ${text === "" ? "nothing" : text}`, () => expect(told(text)).to.contain(why));

  it("given to a simulator by a test are checked as well", async () => {
    const simulator = await createSimulator({ listen: false });
    const rule = { match: {}, effect: { close: "never" } } as unknown as FaultRule;
    expect(() => simulator.faults.add(rule)).to.throw(FaultRuleError, "faults[0].effect.close: must be one of");
    await simulator.stop();
  });

  it("come from a file, from --fault and from --latency", async () => {
    const folder = await temporaryFolder();
    const faults = path.join(folder.path, "faults.yaml");
    await writeFile(faults, "faults:\n  - { match: {}, effect: { idle: 5000 } }\n");
    const rules = await faultRules({
      faults,
      fault: ["{match: {}, effect: {lock: true}}"],
      latency: "50",
      jitter: "9",
    });
    expect(rules.map(({ effect }) => effect)).to.deep.equal([
      { idle: 5000 },
      { lock: true },
      { latency: { ms: 50, jitter: 9 } },
    ]);
    expect(await faultRules({})).to.deep.equal([]);
    await folder.remove();
  });

  it("that can't be used keep `proxmoor simulator` from serving", async () => {
    const args = ["simulator", "--listen", "127.0.0.1:0", "--fault", "{match: {}, effect: {close: soon}}"];
    const { code, err, out } = await proxmoor(args);
    expect([code, out]).to.deep.equal([2, ""]);
    expect(err).to.equal(
      `error: --fault:1:29: faults[0].effect.close must be one of before, after, middle, not "soon" [USAGE]\n  Rules of faults are explained in docs/guide/faults.md.\n`,
    );
    const missing = await proxmoor(["simulator", "--listen", "127.0.0.1:0", "--faults", "no-such.yaml"]);
    expect([missing.code, missing.err]).to.deep.equal([
      2,
      "error: no-such.yaml can't be read: ENOENT: no such file or directory, open 'no-such.yaml' [USAGE]\n",
    ]);
  });
});
