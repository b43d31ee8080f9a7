import { expect } from "chai";
import { openLab, type Lab } from "../support/lab.js";
import { startProgram, until, type RunningProgram } from "../support/process.js";

interface Listed {
  readonly vmid: number;
  readonly name?: string;
  readonly status: string;
}

describe("kill -9 in the middle of an apply", () => {
  let lab: Lab;
  let program: RunningProgram | undefined;
  afterEach(async () => {
    program?.kill("SIGKILL");
    await program?.ended();
    await lab.close();
  });

  const isWrite = (one: { method: string }) => one.method !== "GET";
  // the four guests take ten writes: three creations, a clone with its configuration and resize, four starts
  for (const writes of [1, 2, 3, 5, 7, 9])
    it(`after ${writes} writes: a second apply ends converged, with no duplicate`, async () => {
      lab = await openLab({ taskMs: 150 });
      program = startProgram(["apply", "-f", "manifests"], { env: lab.env, cwd: lab.folder });
      await until(
        `${writes} writes`,
        () => lab.simulator.requests.filter(isWrite).length >= writes || program?.child.exitCode !== null,
      );
      program.kill("SIGKILL");
      expect(await program.ended()).to.equal("SIGKILL");

      const second = await lab.call(["apply", "-f", "manifests"]);
      expect(second.code, second.out + second.err).to.equal(0);
      const guests = (await lab.pve("GET", "/cluster/resources", { type: "vm" })) as Listed[];
      const names = guests
        .map((one) => one.name)
        .filter((name) => name !== undefined && /^(web|db|dns|cache)-01$/.test(name));
      expect(names.sort()).to.deep.equal(["cache-01", "db-01", "dns-01", "web-01"]);
      expect((await lab.call(["diff", "-f", "manifests"])).out).to.contain("Nothing to change.");
      const creations = lab.simulator.requests.filter(
        (one) => one.method === "POST" && /\/(qemu|lxc|clone)$/.test(one.path) && one.status === 200,
      );
      expect(creations, "creations and clones that PVE took").to.have.length(4);
      const tasks = JSON.parse((await lab.call(["get", "tasks", "-o", "json"])).out) as {
        items: { status: string; ref?: string }[];
      };
      expect(
        tasks.items.filter((one) => ["planned", "running", "unknown"].includes(one.status) && one.ref !== undefined),
      ).to.deep.equal([]);
    });

  it("Ctrl-C ends cleanly, and the next apply picks up what PVE went on with", async () => {
    lab = await openLab({ taskMs: 1500 });
    program = startProgram(["apply", "-f", "manifests"], { env: lab.env, cwd: lab.folder });
    await until("a write", () => lab.simulator.requests.some(isWrite));
    program.kill("SIGINT");
    expect(await program.ended()).to.equal(1);
    expect(program.output().out).to.contain("interrupted; what runs in PVE goes on, the next apply picks it up");
    const second = await lab.call(["apply", "-f", "manifests"]);
    expect(second.code, second.out + second.err).to.equal(0);
    expect((await lab.call(["diff", "-f", "manifests"])).code).to.equal(0);
  });
});
