import { expect } from "chai";
import { openLab, type Lab } from "../support/lab.js";
import { proxmoor } from "../support/cli.js";
import { until } from "../support/process.js";

describe("simulator --from-state", () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await openLab();
  });
  afterEach(() => lab.close());

  it("serves the cluster that the database last saw: the same guests, to change at will", async () => {
    const applied = await lab.call(["apply", "-f", "manifests"]);
    expect(applied.code, applied.err).to.equal(0);
    const real = await lab.call(["get", "vms", "-o", "name"]);
    const end = new AbortController();
    let printed = "";
    const copy = proxmoor(["simulator", "--listen", "127.0.0.1:0", "--from-state"], {
      env: lab.env,
      signal: end.signal,
      onOutput: (text) => (printed += text),
    });
    try {
      await until("the simulator listens", () => printed.includes("Ctrl-C"));
      expect(printed).to.contain("(3 nodes, 7 guests)");
      const settings = [...printed.matchAll(/export (\w+)='(.*)'/g)].map(([, name, value]) => [name, value]);
      const env = Object.fromEntries(settings) as Record<string, string>;
      expect(env["PROXMOX_VE_ENDPOINT"]).to.not.equal(lab.env["PROXMOX_VE_ENDPOINT"]);
      expect((await lab.call(["get", "vms", "-o", "name"], { env })).out).to.equal(real.out);
      // the configurations are there too: nothing is to be changed
      expect((await lab.call(["diff", "-f", "manifests"], { env })).out).to.contain("Nothing to change.");
    } finally {
      end.abort();
      await copy;
    }
  });

  it("says so where the database has seen nothing yet", async () => {
    const { code, err } = await lab.call(["simulator", "--listen", "127.0.0.1:0", "--from-state"]);
    expect([code, err]).to.deep.equal([
      2,
      "error: the database has seen no cluster yet [NOT_FOUND]\n  Look at one first: proxmoor diff or proxmoor get nodes.\n",
    ]);
  });
});
