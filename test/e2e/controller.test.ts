import { expect } from "chai";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { openLab, type Lab } from "../support/lab.js";
import { startProgram, until, type RunningProgram } from "../support/process.js";

interface Listed {
  readonly vmid: number;
  readonly node: string;
  readonly name?: string;
}

describe("the controller", () => {
  let lab: Lab;
  let controller: RunningProgram;
  beforeEach(async () => {
    lab = await openLab();
    controller = startProgram(
      ["controller", "-f", "manifests", "--interval", "0.3", "--prune", "--listen", "127.0.0.1:0"],
      { env: lab.env, cwd: lab.folder },
    );
  });
  afterEach(async () => {
    controller.kill("SIGKILL");
    await controller.ended();
    await lab.close();
  });

  const logged = (message: string) =>
    controller
      .output()
      .out.split("\n")
      .filter((line) => line.includes(`"msg":"${message}"`));
  const find = async (name: string) =>
    ((await lab.pve("GET", "/cluster/resources", { type: "vm" })) as Listed[]).find((one) => one.name === name);
  const config = async (name: string) => {
    const guest = await find(name);
    return (
      guest && ((await lab.pve("GET", `/nodes/${guest.node}/qemu/${guest.vmid}/config`)) as Record<string, unknown>)
    );
  };
  const status = async (name: string) => {
    const guest = await find(name);
    return (
      guest &&
      ((await lab.pve("GET", `/nodes/${guest.node}/qemu/${guest.vmid}/status/current`)) as { status: string }).status
    );
  };
  const converged = () => until("four guests made", () => logged("reconciled").length >= 4);

  it("makes what is declared, corrects drift, follows edits and removals, and ends on SIGTERM", async () => {
    await converged();
    const web = await find("web-01");
    await lab.pve("POST", `/nodes/pve1/qemu/${web?.vmid}/status/stop`);
    await until(
      "web-01 runs again",
      async () =>
        logged("drift corrected").some((line) => line.includes("vm/web-01")) && (await status("web-01")) === "running",
    );

    await lab.pve("PUT", `/nodes/pve1/qemu/${web?.vmid}/config`, { description: "somebody was here" });
    await until(
      "the description is back",
      async () => (await config("web-01"))?.["description"] === "The demo's web server",
    );

    await lab.edit("web.yaml", "The demo's web server", "edited");
    await until("the edit is applied", async () => (await config("web-01"))?.["description"] === "edited");

    await rm(path.join(lab.manifests, "db.yaml"));
    await until("db-01 is pruned", async () => (await find("db-01")) === undefined);

    controller.kill("SIGTERM");
    expect(await controller.ended()).to.equal(0);
    expect(logged("controller ended")).to.have.length(1);
  });

  it("reports a broken manifest, keeps what it said before, and goes on with the rest", async () => {
    await converged();
    await writeFile(path.join(lab.manifests, "db.yaml"), "apiVersion: proxmoor.dev/v1\nkind: [\n");
    await until("the fault is told", () => logged("manifest fault").some((line) => line.includes("db.yaml")));
    await lab.edit("web.yaml", "The demo's web server", "still followed");
    await until(
      "the other file is followed",
      async () => (await config("web-01"))?.["description"] === "still followed",
    );
    expect(await find("db-01"), "db-01 stays").to.not.equal(undefined);
  });

  it("survives an outage of PVE, says so, and goes on afterwards", async () => {
    await converged();
    const { port } = new URL(lab.simulator.url);
    await lab.simulator.stop();
    await until("the outage is told", () => logged("the cluster could not be looked at").length > 0);
    expect(controller.child.exitCode).to.equal(null);
    await lab.restart(Number(port));
    await until("PVE is back", () => logged("PVE answers again").length > 0);
    await lab.edit("web.yaml", "The demo's web server", "after the outage");
    await until(
      "edits are followed again",
      async () => (await config("web-01"))?.["description"] === "after the outage",
    );
  });

  it("serves health, readiness and metrics", async () => {
    await converged();
    const url = /"http":"([^"]+)"/.exec(controller.output().out)?.[1] ?? "";
    const get = async (page: string) => {
      const answer = await fetch(`${url}${page}`);
      return { status: answer.status, text: await answer.text() };
    };
    expect(await get("/healthz")).to.deep.equal({ status: 200, text: '{"status":"ok"}' });
    expect((await get("/readyz")).status).to.equal(200);
    await until("the inventory is counted", async () =>
      (await get("/metrics")).text.includes("\nproxmoor_resources 4\n"),
    );
    expect((await get("/metrics")).text).to.match(/proxmoor_reconcile_total\{result="changed"\} [1-9]/);
  });

  it("refuses a second one on the same database, naming the first", async () => {
    await converged();
    const second = startProgram(["controller", "-f", "manifests", "--listen", "off"], {
      env: lab.env,
      cwd: lab.folder,
    });
    expect(await second.ended()).to.equal(2);
    expect(second.output().err)
      .to.contain("another controller works on this database")
      .and.to.contain(String(controller.child.pid));
  });
});
