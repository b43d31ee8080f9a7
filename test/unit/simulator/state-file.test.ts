import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "chai";
import { createSimulator, StateFileError } from "../../../src/simulator/index.js";

const MODULE = new URL("../../../src/simulator/index.js", import.meta.url).href;

/** Serves in a process of its own, so that it can be killed; tasks take a minute. */
const SERVE = `
  const { createSimulator } = await import(process.argv[1]);
  const simulator = await createSimulator({ profile: "demo", stateFile: process.argv[2], taskDuration: () => 60000 });
  const root = simulator.as();
  await root.call("PUT", "/nodes/pve1/qemu/100/config", { description: "kept" });
  const upid = await root.call("POST", "/nodes/pve1/qemu", { vmid: 300 });
  console.log(JSON.stringify({ upid, fingerprint: simulator.fingerprint, token: simulator.credentials.token }));
  setInterval(() => undefined, 1000);
`;

describe("simulator: state file", () => {
  let folder: string;
  let file: string;
  let child: ChildProcess | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "proxmoor-simulator-"));
    file = path.join(folder, "state.json");
  });
  afterEach(async () => {
    child?.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });

  it("outlives a kill; what ran then is found without its end", async () => {
    child = spawn(process.execPath, ["--input-type=module", "-e", SERVE, MODULE, file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const gone = once(child, "exit");
    const [line] = (await once(child.stdout ?? child, "data")) as [Buffer];
    const before = JSON.parse(line.toString()) as { upid: string; fingerprint: string; token: string };
    for (;;) {
      const text = await readFile(file, "utf8").catch(() => "");
      if (text.includes(before.upid)) break;
      await delay(5);
    }
    child.kill("SIGKILL");
    await gone;
    expect((await stat(file)).mode & 0o777).to.equal(0o600);

    const simulator = await createSimulator({ stateFile: file, taskDuration: () => 0 });
    try {
      const root = simulator.as();
      const task = await root.call("GET", `/nodes/pve1/tasks/${encodeURIComponent(before.upid)}/status`);
      expect(task).to.include({ status: "stopped", exitstatus: "unexpected status" });
      expect(await root.call("GET", "/nodes/pve1/qemu/100/config")).to.include({ description: "kept" });
      expect(simulator.fingerprint).to.equal(before.fingerprint);
      expect(simulator.credentials.token).to.equal(before.token);
    } finally {
      await simulator.stop();
    }
  });

  it("is written when the simulator stops", async () => {
    const first = await createSimulator({ profile: "empty", stateFile: file });
    await first.as().call("POST", "/pools", { poolid: "late" });
    await first.stop();
    const second = await createSimulator({ stateFile: file });
    expect(await second.as().call("GET", "/pools")).to.deep.equal([{ poolid: "late" }]);
    await second.stop();
  });

  for (const [what, text] of [
    ["no JSON", "{"],
    ["something else", '{"name":"x"}'],
  ] as const)
    it(`that holds ${what} is refused and left alone`, async () => {
      await writeFile(file, text);
      const error = await createSimulator({ stateFile: file }).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(StateFileError);
      expect(await readFile(file, "utf8")).to.equal(text);
    });
});
