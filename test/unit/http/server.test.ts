import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import type { ControllerStatus } from "../../../src/controller/ports.js";
import { PrometheusMetrics } from "../../../src/http/metrics.js";
import { serveHttp } from "../../../src/http/server.js";

const FINE: ControllerStatus = { started: true, lastPoll: 1, faults: [], queueDepth: 0 };

describe("the HTTP server", () => {
  const servers: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });

  async function serve(status = FINE, database: () => Promise<unknown> = () => Promise.resolve()) {
    const metrics = new PrometheusMetrics();
    const server = await serveHttp({ host: "127.0.0.1", port: 0, metrics, status: () => status, database });
    servers.push(server);
    const get = async (path: string) => {
      const response = await fetch(server.url + path);
      return `${response.status} ${await response.text()}`;
    };
    return { get, metrics, url: server.url };
  }

  it("lives, whatever else is wrong", async () => {
    const { get, url } = await serve({ started: false, faults: [], queueDepth: 0 }, () =>
      Promise.reject(new Error("no")),
    );
    expect(await get("/healthz")).to.equal('200 {"status":"ok"}');
    expect(url).to.match(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it("is ready when database and PVE are, and says which of them is not", async () => {
    const fault = { code: "MANIFEST_INVALID", place: { file: "a.yaml" }, message: "x" } as const;
    const answers = [];
    for (const status of [
      FINE,
      { ...FINE, faults: [fault, fault] },
      { started: false, faults: [], queueDepth: 3 },
      { ...FINE, pollError: "connect ECONNREFUSED" },
    ])
      answers.push(await (await serve(status)).get("/readyz"));
    answers.push(await (await serve(FINE, () => Promise.reject(new Error("planted-secret")))).get("/readyz"));
    expect(answers.join("\n")).to.equal(
      [
        '200 {"status":"ready","checks":{"database":"ok","pve":"ok","manifests":"ok"}}',
        '200 {"status":"ready","checks":{"database":"ok","pve":"ok","manifests":"2 faults; what was good before stays in force"}}',
        '503 {"status":"not ready","checks":{"database":"ok","pve":"not looked at yet","manifests":"ok"}}',
        '503 {"status":"not ready","checks":{"database":"ok","pve":"connect ECONNREFUSED","manifests":"ok"}}',
        '503 {"status":"not ready","checks":{"database":"does not answer","pve":"ok","manifests":"ok"}}',
      ].join("\n"),
    );
  });

  it("gives metrics in Prometheus' form", async () => {
    const { get, metrics } = await serve();
    metrics.gauges(() => ({
      queueDepth: 3,
      working: 2,
      resources: 7,
      conditions: { Ready: 6, Drifted: 1 },
      faults: 4,
    }));
    metrics.reconciled("changed", 0.2);
    metrics.polled("failed", 1.5);
    metrics.drift("corrected");
    const text = await get("/metrics");
    const own = text.split("\n").filter((line) => /^proxmoor_/.test(line) && !/_bucket|_created/.test(line));
    expect(own.sort().join("\n")).to.equal(
      [
        'proxmoor_drift_total{correction="corrected"} 1',
        "proxmoor_manifest_faults 4",
        "proxmoor_poll_duration_seconds 1.5",
        'proxmoor_poll_total{result="failed"} 1',
        "proxmoor_queue_depth 3",
        "proxmoor_queue_working 2",
        'proxmoor_reconcile_duration_seconds_count{result="changed"} 1',
        'proxmoor_reconcile_duration_seconds_sum{result="changed"} 0.2',
        'proxmoor_reconcile_total{result="changed"} 1',
        "proxmoor_resources 7",
        'proxmoor_resources_condition{condition="Drifted"} 1',
        'proxmoor_resources_condition{condition="Ready"} 6',
      ].join("\n"),
    );
    expect(text).to.contain("process_resident_memory_bytes");
  });

  it("says so when its address is taken", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    servers.push({ close: () => new Promise((resolve) => other.close(() => resolve())) });
    const metrics = new PrometheusMetrics();
    const options = { host: "127.0.0.1", port, metrics, status: () => FINE, database: () => Promise.resolve() };
    const error: unknown = await serveHttp(options).catch((thrown: unknown) => thrown);
    expect(error).to.include({ code: "SERVER_LISTEN", message: `can't listen on 127.0.0.1:${port}` });
  });
});
