import { expect } from "chai";
import { describeError } from "../../../src/model/errors.js";
import { createPveClient, type PveClient } from "../../../src/pve/client.js";
import type { PveSettings } from "../../../src/pve/settings.js";
import { createSimulator, ManualClock, type FaultRule, type Simulator } from "../../../src/simulator/index.js";

/** The faults over real connections, seen by the real client. */
describe("simulator: faults on the wire", () => {
  let simulator: Simulator;
  let client: PveClient;
  beforeEach(async () => {
    simulator = await createSimulator({ profile: "demo", taskDuration: () => 0, authDelay: 0 });
    client = connect({});
  });
  afterEach(async () => {
    await client.close();
    await simulator.stop();
  });

  const connect = (timeouts: NonNullable<PveSettings["timeouts"]>): PveClient => {
    const { token } = simulator.credentials;
    const tls = { fingerprint: simulator.fingerprint };
    const settings = { endpoint: simulator.url, auth: { kind: "token", token } as const, tls, timeouts };
    return createPveClient(settings, { sleep: async () => undefined });
  };
  const strike = (effect: FaultRule["effect"], count = 1, match: FaultRule["match"] = {}): FaultRule => ({
    match,
    effect,
    count,
  });
  /** What became of a call: `done`, or the error's code with what it says. */
  const outcome = async (call: Promise<unknown>): Promise<string> => {
    try {
      await call;
      return "done";
    } catch (error) {
      return describeError(error).replaceAll(new URL(simulator.url).host, "HOST");
    }
  };
  const read = (): Promise<string> => outcome(client.get("/nodes/pve1/qemu/100/config"));
  const write = (): Promise<string> => outcome(client.write("POST", "/nodes/pve1/qemu/100/status/stop", {}));
  const isRunning = async (): Promise<boolean> =>
    JSON.stringify(await simulator.as().call("GET", "/nodes/pve1/qemu/100/status/current")).includes('"running"');
  const logged = (): string[] =>
    simulator.requests.map((one) => `${one.method} ${one.status}${one.cut === true ? " cut" : ""}`);

  const LOST =
    "was sent to HOST, but no answer came: other side closed [PVE_NO_ANSWER]\n  Look at the guest and at PVE's task list before it is sent again.";
  const STOP = "pve1/qemu/100: POST /nodes/pve1/qemu/100/status/stop";

  for (const where of ["before", "after", "middle"] as const) {
    it(`a read whose connection is closed ${where} is repeated`, async () => {
      simulator.faults.add(strike({ close: where }, 2));
      expect(await read()).to.equal("done");
      const cut = where === "before" ? "GET 0 cut" : "GET 200 cut";
      expect(logged()).to.deep.equal([cut, cut, "GET 200"]);
    });

    it(`a write whose connection is closed ${where} is sent once, and is said to be in doubt`, async () => {
      simulator.faults.add(strike({ close: where }));
      expect(await write()).to.equal(`${STOP} ${LOST}`);
      expect(logged()).to.have.length(1);
      expect(await isRunning()).to.equal(where === "before");
    });
  }

  it("an answer that comes too late leaves a write in doubt, though it is done", async () => {
    simulator.faults.add(strike({ latency: { ms: 3000 } }));
    await client.close();
    client = connect({ writeHeaders: 100 });
    expect(await write()).to.contain("no answer came: Headers Timeout Error [PVE_NO_ANSWER]");
    while (simulator.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await isRunning()).to.equal(false);
  });

  for (const [status, text] of [
    [500, "pve1/qemu/100: Internal Server Error [PVE_ERROR]"],
    [502, "pve1/qemu/100: no answer came through: 502 Bad Gateway [PVE_NO_ANSWER]"],
    [595, "pve1/qemu/100: 595 Connection refused [PVE_NODE_OFFLINE]"],
    [596, "pve1/qemu/100: no answer came through: 596 Connection timed out [PVE_NO_ANSWER]"],
    [599, "pve1/qemu/100: no answer came through: 599 Too many redirections [PVE_NO_ANSWER]"],
  ] as const)
    it(`${status} for a write, done or not`, async () => {
      simulator.faults.add(strike({ answer: { status } }));
      expect((await write()).split("\n")[0]).to.equal(text);
      expect(await isRunning()).to.equal(true);
      simulator.faults.add(strike({ answer: { status, taken: true } }));
      expect((await write()).split("\n")[0]).to.equal(text);
      expect(await isRunning()).to.equal(false);
    });

  it("idle connections are closed; the next request comes on another, and none is lost", async () => {
    simulator.faults.add(strike({ idle: 0 }, 1000));
    for (let calls = 0; calls < 5; calls++) {
      expect(await read()).to.equal("done");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(logged()).to.deep.equal(Array.from({ length: 5 }, () => "GET 200"));
  });

  it("while nothing listens, nothing is sent; afterwards all is well", async () => {
    expect(await read()).to.equal("done");
    const down = simulator.faults.add({ match: { at: 0 }, effect: { down: { for: 60_000 } } });
    expect(await write()).to.match(/HOST could not be reached: .* \[PVE_UNREACHABLE\]/);
    expect([down.hits, logged()]).to.deep.equal([1, ["GET 200"]]);
    simulator.faults.clear();
    expect(await write()).to.equal("done");
  });
});

describe("simulator: faults", () => {
  const open = (seed = 1, clock = new ManualClock(Date.parse("2026-03-01T08:00:00Z"))): Promise<Simulator> =>
    createSimulator({ profile: "demo", seed, clock, listen: false, taskDuration: () => 0 });
  const ask = async (simulator: Simulator, method = "GET", path = "/nodes"): Promise<number> => {
    const headers = { authorization: `PVEAPIToken=${simulator.credentials.token}` };
    const delivery = await simulator.exchange({ method, url: `/api2/json${path}`, headers, body: Buffer.alloc(0) });
    return delivery === undefined ? -1 : delivery.answer.status;
  };

  it("strike after so many, so often, and only what they match", async () => {
    const simulator = await open();
    const fault = simulator.faults.add({
      match: { method: ["GET", "PUT"], path: "/nodes/*/qemu" },
      after: 1,
      count: 2,
      effect: { answer: { status: 599 } },
    });
    const seen = [];
    for (const path of ["/nodes/pve1/qemu", "/nodes", "/nodes/pve2/qemu", "/nodes/pve1/qemu/100/config"])
      seen.push(await ask(simulator, "GET", path));
    for (let calls = 0; calls < 2; calls++) seen.push(await ask(simulator, "GET", "/nodes/pve1/qemu"));
    expect(seen).to.deep.equal([200, 200, 599, 200, 599, 200]);
    expect([fault.hits, simulator.faults.active.length]).to.deep.equal([2, 1]);
    fault.remove();
    expect(simulator.faults.active).to.deep.equal([]);
  });

  it("come by chance as the seed says, and leave the cluster's own chance alone", async () => {
    const course = async (seed: number): Promise<string> => {
      const simulator = await open(seed);
      simulator.faults.add({ match: {}, probability: 0.4, effect: { answer: { status: 503 } } });
      const seen = [];
      for (let calls = 0; calls < 20; calls++) seen.push(await ask(simulator));
      return seen.join(" ");
    };
    expect(await course(1)).to.equal(await course(1));
    expect(await course(1)).to.not.equal(await course(2));
  });

  it("by time come and pass: a node flaps", async () => {
    const clock = new ManualClock(Date.parse("2026-03-01T08:00:00Z"));
    const simulator = await open(1, clock);
    simulator.faults.add({ match: { every: 10_000 }, effect: { offline: { node: "pve1", for: 3_000 } } });
    const seen = [];
    for (let seconds = 0; seconds < 24; seconds += 4) {
      seen.push(await ask(simulator, "GET", "/nodes/pve1/qemu"));
      clock.advance(4_000);
    }
    expect(seen).to.deep.equal([200, 200, 200, 595, 200, 595]);
  });

  it("are undone by clear: nodes, privileges, tokens, storages and tasks that hang", async () => {
    const simulator = await open();
    const start = (): Promise<unknown> => simulator.as().call("POST", "/nodes/pve1/qemu/100/status/stop");
    simulator.faults.add([
      { match: { task: "qmstop" }, effect: { task: { how: "hang" } } },
      { match: { at: 0 }, effect: { offline: { node: "pve2" } } },
      { match: { at: 0 }, effect: { permission: { take: ["Sys.Audit"] } } },
      { match: { at: 0 }, effect: { storage: { id: "local-lvm", full: true } } },
    ]);
    const upid = String(await start());
    const state = async (): Promise<string> => {
      const task = simulator.as().call("GET", `/nodes/pve1/tasks/${encodeURIComponent(upid)}/status`);
      const storage = simulator.as().call("GET", "/nodes/pve1/storage/local-lvm/status");
      const { status } = (await task) as { status: string };
      const { avail } = (await storage) as { avail: number };
      const asked = [
        await ask(simulator, "GET", "/nodes/pve2/qemu"),
        await ask(simulator, "GET", "/nodes/pve1/status"),
      ];
      return [status, avail > 0 ? "space" : "full", ...asked].join(" ");
    };
    expect(await state()).to.equal("running full 595 403");
    simulator.faults.add({ match: { at: 0 }, effect: { expire: {} } });
    simulator.faults.clear();
    expect(await state()).to.equal("stopped space 200 200");
  });

  it("a person works by PVE's calls, on the guest of the request, before it is answered", async () => {
    const simulator = await open();
    const names = async (): Promise<string> => {
      const rows = (await simulator.as().call("GET", "/cluster/resources", { type: "vm" })) as {
        vmid: number;
        name?: string;
      }[];
      return rows
        .map(({ vmid, name = "?" }) => `${vmid} ${name}`)
        .sort()
        .join(", ");
    };
    simulator.faults.add({
      match: { path: "/nodes/*/qemu/*/config" },
      count: 1,
      effect: { person: { does: "reuse" } },
    });
    expect(await ask(simulator, "GET", "/nodes/pve1/qemu/100/config")).to.equal(200);
    expect(await names()).to.equal("100 intruder, 101 legacy-dns, 9000 debian-12");
    expect(simulator.requests.map(({ faults }) => faults)).to.deep.equal([["person"]]);
  });
});
