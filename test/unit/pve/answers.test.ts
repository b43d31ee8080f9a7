import { expect } from "chai";

import { AnswerCheck } from "../../../src/pve/answers.js";
import { PveReader } from "../../../src/pve/reader.js";
import { FakeClient } from "./fake-client.js";

/** What is told of answers, one line each. */
function told(answers: readonly (readonly [path: string, rows: unknown])[]): string[] {
  const lines: string[] = [];
  const check = new AnswerCheck(({ endpoint, field, problem, path }) => {
    lines.push(`${endpoint}: ${field} ${problem} (${path})`);
  });
  for (const [path, rows] of answers) check.rows(rows, path);
  return lines;
}

describe("what PVE answers", () => {
  it("passes where it is as documented, with numbers as texts and fields that nobody knows", () => {
    const rows = { "/nodes": [{ node: "pve1", status: "online", maxcpu: "8", cpu: 0.5, novelty: { a: [1] } }] };
    const guest = [{ vmid: "100", status: "running", template: 1, cpu: "1.5e-05", tags: "a;b" }];
    expect(told([...Object.entries(rows), ["/nodes/pve1/lxc", guest], ["/nodes/pve1/qemu", guest]])).deep.equal([]);
    expect(told([["/cluster/resources", [{ type: "sdn" }, { type: "node", node: "pve1" }]]])).deep.equal([]);
    expect(
      told([
        [
          "/nodes/pve1/qemu/100/pending",
          [
            { key: "memory", value: 512 },
            { key: "cores", delete: 1 },
          ],
        ],
      ]),
    ).deep.equal([]);
    expect(
      told([
        ["/access/users", "anything"],
        ["/nodes", "no list"],
      ]),
    ).deep.equal([]);
  });

  it("is told by endpoint and field where something is missing or mistyped, once", () => {
    const guests = [{ vmid: 100 }, { vmid: 101 }, { vmid: "x", status: 5, tags: null }, "no row"];
    expect(
      told([
        ["/nodes/pve1/qemu", guests],
        ["/nodes/pve2/qemu", guests],
        ["/nodes/pve1/lxc/200/pending", [{ value: "512" }]],
        ["/cluster/resources", [{ type: "qemu", node: "pve1" }, { type: "storage" }, {}]],
      ]),
    ).deep.equal([
      "GET /nodes/{node}/qemu: status is missing (/nodes/pve1/qemu)",
      'GET /nodes/{node}/qemu: vmid must match pattern "^-?\\d+(\\.\\d+)?([eE][+-]?\\d+)?$" (/nodes/pve1/qemu)',
      "GET /nodes/{node}/qemu: status must be string (/nodes/pve1/qemu)",
      "GET /nodes/{node}/qemu: tags must be string (/nodes/pve1/qemu)",
      "GET /nodes/{node}/qemu:  must be object (/nodes/pve1/qemu)",
      "GET /nodes/{node}/lxc/{vmid}/pending: key is missing (/nodes/pve1/lxc/200/pending)",
      "GET /cluster/resources: vmid is missing (/cluster/resources)",
      "GET /cluster/resources: storage is missing (/cluster/resources)",
      "GET /cluster/resources: node is missing (/cluster/resources)",
      "GET /cluster/resources: type is missing (/cluster/resources)",
    ]);
  });

  it("is used as far as it can be read", async () => {
    const oddities: string[] = [];
    const answers = {
      "/nodes": [{ node: "pve1", status: "online", maxcpu: [] }],
      "/nodes/pve1/version": {},
      "/nodes/pve1/qemu": [{ vmid: 100 }, null, { vmid: 101, status: "running", tags: 7 }],
      "/nodes/pve1/lxc": [],
      "/nodes/pve1/storage": [{ storage: 3 }],
      "/storage": [{}],
      "/cluster/resources": [{ type: 5 }],
      "/nodes/pve1/qemu/100/pending": [
        { key: "memory", value: {} },
        { key: "brand-new-option", value: "kept" },
        { key: "digest", value: "d" },
      ],
    };
    const reader = new PveReader(new FakeClient(answers), ({ endpoint, field }) =>
      oddities.push(`${endpoint} ${field}`),
    );
    const overview = await reader.overview();
    expect(overview.guests.map((guest) => `${guest.vmid} ${guest.status}`)).deep.equal(["100 unknown", "101 running"]);
    const raw = await reader.guestConfig({ kind: "VirtualMachine", vmid: 100, node: "pve1" });
    expect(raw.config).deep.equal({ "brand-new-option": "kept" });
    expect(oddities).include.members(["GET /nodes maxcpu", "GET /storage storage", "GET /nodes/{node}/qemu status"]);
    expect(oddities).include("GET /nodes/{node}/qemu/{vmid}/pending value");
  });
});
