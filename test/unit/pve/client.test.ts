import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";

import { expect } from "chai";

import { describeError } from "../../../src/model/errors.js";
import { createPveClient } from "../../../src/pve/client.js";
import { failure, Rig, SECRET, TOKEN } from "./server.js";
import type { Reply } from "./server.js";

const OK: Reply = { data: "fine" };
const busy: Reply = {
  status: 500,
  reason: "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout",
  body: `{"message":"can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout\\n","data":null}`,
};

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("the client", () => {
  const rig = new Rig();
  afterEach(() => rig.close());

  describe("requests", () => {
    it("sends parameters of reads and deletions in the query, of writes as a form with its length", async () => {
      const server = await rig.server(() => OK);
      const client = rig.client(server);
      await client.get("/cluster/resources", { type: "vm" });
      await client.write("PUT", "/nodes/pve1/qemu/100/config", { description: "a b&c=ü\n", cores: 2 });
      await client.write("DELETE", "/nodes/pve1/qemu/100", { purge: 1 });
      expect(
        server.seen.map(({ method, path, params, headers }) => [method, path, params, headers["content-length"]]),
      ).to.deep.equal([
        ["GET", "/cluster/resources", { type: "vm" }, undefined],
        ["PUT", "/nodes/pve1/qemu/100/config", { description: "a b&c=ü\n", cores: "2" }, "39"],
        ["DELETE", "/nodes/pve1/qemu/100", { purge: "1" }, undefined],
      ]);
      expect(server.seen[0]?.headers.authorization).to.equal(`PVEAPIToken=${TOKEN}`);
    });

    it("takes the endpoint with and without the API path", async () => {
      const server = await rig.server(() => OK);
      for (const tail of ["", "/", "/api2/json", "/api2/json/"]) {
        const client = rig.client({ ...server, endpoint: server.endpoint + tail });
        expect(await client.get("/version")).to.equal("fine");
      }
    });

    it("refuses an endpoint that is none, without repeating a password in it", async () => {
      const auth = { kind: "token", token: TOKEN } as const;
      for (const endpoint of [
        "pve1:8006",
        "http://pve1:8006",
        "https://pve1:8006/other",
        "https://root:hunter22@pve1:8006",
      ]) {
        expect(() => createPveClient({ endpoint, auth })).to.throw(/not the address of a PVE host|holds a user name/);
        expect(() => createPveClient({ endpoint, auth })).not.to.throw("hunter22");
      }
    });

    it("keeps connections, as many as allowed and for at most 99 requests", async () => {
      const server = await rig.server(() => OK);
      const client = rig.client(server, { concurrency: 2 });
      await Promise.all(Array.from({ length: 20 }, () => client.get("/version")));
      expect(server.connections()).to.equal(2);
      for (let index = 0; index < 200; index += 1) await client.get("/version");
      const perConnection = new Map<number, number>();
      for (const { connection } of server.seen) perConnection.set(connection, (perConnection.get(connection) ?? 0) + 1);
      expect(Math.max(...perConnection.values())).to.be.at.most(100);
      expect(server.connections()).to.be.at.most(6);
    });
  });

  describe("certificates", () => {
    it("are checked by default, before anything is sent; the error names the fingerprint", async () => {
      const server = await rig.server(() => OK);
      const client = rig.client(server, { tls: {} });
      expect(await failure(client.get("/version"))).to.equal(
        `PVE_TLS never: the certificate of 127.0.0.1:${server.port} is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT); ` +
          `its SHA-256 fingerprint is ${server.fingerprint}`,
      );
      expect(server.seen).to.deep.equal([]);
      expect(rig.pauses).to.deep.equal([]);
    });

    it("count by fingerprint alone where one is pinned: colons and case don't matter", async () => {
      const server = await rig.server(() => OK);
      for (const fingerprint of [server.fingerprint, server.fingerprint.toLowerCase().replaceAll(":", "")]) {
        expect(await rig.client(server, { tls: { fingerprint } }).get("/version")).to.equal("fine");
      }
    });

    it("with another fingerprint are refused before anything is sent, CA or not; the error says how to pin it", async () => {
      const server = await rig.server(() => OK);
      const fingerprint = server.fingerprint.replace(/^../, server.fingerprint.startsWith("00") ? "11" : "00");
      for (const tls of [{ fingerprint }, { fingerprint, ca: server.ca }, { fingerprint, insecure: true }]) {
        const error = await rig
          .client(server, { tls })
          .write("POST", "/x", { a: 1 })
          .catch((reason: unknown) => reason);
        expect(describeError(error)).to.equal(
          `127.0.0.1:${server.port}: the certificate of 127.0.0.1:${server.port} is not the pinned one (${fingerprint}); ` +
            `its SHA-256 fingerprint is ${server.fingerprint} [PVE_TLS]\n` +
            "  Compare it with System, Certificates in PVE; if it is the same, pin it with " +
            `PROXMOX_VE_FINGERPRINT=${server.fingerprint}, or name its CA with PROXMOX_VE_CA_FILE.`,
        );
      }
      expect(server.seen).to.deep.equal([]);
    });

    it("count by CA, for the host they name only", async () => {
      const server = await rig.server(() => OK);
      expect(await rig.client(server, { tls: { ca: server.ca } }).get("/version")).to.equal("fine");
      const other = { endpoint: `https://localhost:${server.port}` };
      expect(await failure(rig.client(other, { tls: { ca: server.ca } }).get("/version"))).to.match(
        /^PVE_TLS never: the certificate of localhost:\d+ is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
      );
      expect(server.seen.length).to.equal(1);
    });

    it("don't count where that is wished", async () => {
      const server = await rig.server(() => OK);
      expect(await rig.client(server, { tls: { insecure: true } }).get("/version")).to.equal("fine");
    });

    it("refuses a fingerprint that is no SHA-256", () => {
      expect(() => rig.client({ endpoint: "https://127.0.0.1:1" }, { tls: { fingerprint: "AA:BB" } })).to.throw(
        "the certificate fingerprint is not a SHA-256: 64 hexadecimal digits",
      );
    });

    it("says so where the port speaks no TLS", async () => {
      const server = createServer((socket) =>
        socket
          .on("error", () => undefined)
          .resume()
          .end("HTTP/1.1 400 Bad\r\n\r\n"),
      );
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const client = rig.client({ endpoint: `https://127.0.0.1:${port}` });
      expect(await failure(client.get("/version"))).to.match(/^PVE_TLS never: no TLS connection to 127\.0\.0\.1:\d+/);
      await new Promise((resolve) => server.close(resolve));
    });
  });

  describe("reads", () => {
    const passing: [string, Reply][] = [
      ["595", { status: 595, reason: "No route to host" }],
      ["596", { status: 596, reason: "Connection timed out" }],
      ["597", { status: 597, reason: "Broken pipe" }],
      ["599", { status: 599, reason: "Too many redirections" }],
      ["502", { status: 502, reason: "Bad Gateway" }],
      ["503", { status: 503, reason: "Service Unavailable" }],
      ["504", { status: 504, reason: "Gateway Timeout" }],
      ["a lock's timeout", busy],
      ["a dropped connection", "drop"],
    ];
    for (const [what, reply] of passing) {
      it(`are repeated after ${what}`, async () => {
        const server = await rig.server((_, index) => (index < 2 ? reply : OK));
        expect(await rig.client(server).get("/version")).to.equal("fine");
        expect(rig.pauses.map(Math.round)).to.deep.equal([500, 1000]);
      });
    }

    it("are repeated a bounded number of times, with pauses up to a cap, and then tell what PVE said", async () => {
      const server = await rig.server(() => ({ status: 595, reason: "No route to host" }));
      const client = rig.client(server, { retry: { attempts: 6, baseMs: 100, capMs: 800 } });
      expect(await failure(client.get("/nodes/pve2/qemu"))).to.equal("PVE_NODE_OFFLINE later: 595 No route to host");
      expect(server.seen.length).to.equal(6);
      expect(rig.pauses.map(Math.round)).to.deep.equal([200, 400, 800, 800, 800]);
    });

    it("are not repeated once their time is up", async () => {
      const server = await rig.server(() => {
        rig.now += 30_000;
        return { status: 595, reason: "Connection timed out" };
      });
      expect(await failure(rig.client(server).get("/nodes/pve2/qemu"))).to.contain("595 Connection timed out");
      expect(server.seen.length).to.equal(1);
    });

    it("are not repeated after a refusal", async () => {
      const body = `{"data":null,"message":"Permission check failed (/vms/100, VM.Audit)\\n"}`;
      const server = await rig.server(() => ({
        status: 403,
        reason: "Permission check failed (/vms/100, VM.Audit)",
        body,
      }));
      expect(await failure(rig.client(server).get("/nodes/pve1/qemu/100/config"))).to.equal(
        "PVE_PERMISSION never: Permission check failed (/vms/100, VM.Audit)",
      );
      expect(server.seen.length).to.equal(1);
    });

    it("time out, and are repeated", async () => {
      const server = await rig.server((_, index) => (index === 0 ? "hang" : OK));
      expect(await rig.client(server, { timeouts: { headers: 200 } }).get("/version")).to.equal("fine");
    });

    it("that never get an answer say that PVE is unreachable", async () => {
      const server = await rig.server(() => "drop");
      expect(await failure(rig.client(server).get("/version"))).to.equal(
        `PVE_UNREACHABLE later: 127.0.0.1:${server.port} gave no answer: other side closed`,
      );
    });

    it("tell an answer that is no PVE's", async () => {
      for (const body of ["<html>proxy</html>", "[]", `{"success":1}`]) {
        const server = await rig.server(() => ({ status: 200, body }));
        expect(await failure(rig.client(server).get("/version"))).to.equal(
          `PVE_ANSWER never: 127.0.0.1:${server.port} answered GET /version with something that is not PVE's JSON ` +
            `(application/json;charset=UTF-8, ${body.length} bytes)`,
        );
      }
    });
  });

  describe("writes", () => {
    for (const [what, reply] of [
      ["a dropped connection", "drop"],
      ["596", { status: 596, reason: "Connection timed out" }],
      ["597", { status: 597, reason: "Broken pipe" }],
      ["599", { status: 599, reason: "Too many redirections" }],
      ["504", { status: 504, reason: "Gateway Timeout" }],
    ] as [string, Reply][]) {
      it(`are not repeated after ${what}: they may have been taken`, async () => {
        const server = await rig.server(() => reply);
        const said = await failure(rig.client(server).write("POST", "/nodes/pve1/qemu/100/status/start", {}));
        expect(said).to.match(/^PVE_NO_ANSWER later: /);
        expect(server.seen.length).to.equal(1);
      });
    }

    it("are not repeated after PVE's own refusals, 595 and locks included", async () => {
      for (const [reply, code] of [
        [{ status: 595, reason: "Connection refused" }, "PVE_NODE_OFFLINE later: 595 Connection refused"],
        [busy, "PVE_LOCKED later: can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"],
      ] as [Reply, string][]) {
        const server = await rig.server(() => reply);
        expect(await failure(rig.client(server).write("PUT", "/nodes/pve1/qemu/100/config", { cores: 2 }))).to.equal(
          code,
        );
        expect(server.seen.length).to.equal(1);
      }
    });

    it("that time out may have been taken", async () => {
      const server = await rig.server(() => "hang");
      const client = rig.client(server, { timeouts: { writeHeaders: 200 } });
      expect(await failure(client.write("POST", "/nodes/pve1/qemu", { vmid: 100 }))).to.equal(
        `PVE_NO_ANSWER later: POST /nodes/pve1/qemu was sent to 127.0.0.1:${server.port}, but no answer came: Headers Timeout Error`,
      );
      expect(server.seen.length).to.equal(1);
    });

    it("are repeated where no connection was made, and then surely were not sent", async () => {
      const port = await closedPort();
      const client = rig.client({ endpoint: `https://127.0.0.1:${port}` });
      expect(await failure(client.write("POST", "/nodes/pve1/qemu", { vmid: 100 }))).to.equal(
        `PVE_UNREACHABLE later: 127.0.0.1:${port} could not be reached: connect ECONNREFUSED 127.0.0.1:${port}`,
      );
      expect(rig.pauses.length).to.equal(3);
    });
  });

  describe("aborts", () => {
    it("end a read in flight", async () => {
      const server = await rig.server(() => "hang");
      const abort = new AbortController();
      const reading = rig.client(server).get("/version", {}, { signal: abort.signal });
      setTimeout(() => abort.abort(new Error("enough")), 50);
      expect(await failure(reading)).to.equal("? ?: enough");
    });

    it("of a write in flight leave it unknown", async () => {
      const abort = new AbortController();
      const server = await rig.server(() => {
        setTimeout(() => abort.abort(new Error("enough")), 10);
        return "hang";
      });
      const writing = rig.client(server).write("POST", "/nodes/pve1/qemu", { vmid: 100 }, abort.signal);
      expect(await failure(writing)).to.match(/^PVE_NO_ANSWER later: POST \/nodes\/pve1\/qemu was sent .*: enough$/);
    });

    it("keep a write that still waits for a connection from being sent", async () => {
      const abort = new AbortController();
      const server = await rig.server((request) => (request.method === "GET" ? "hang" : OK));
      const client = rig.client(server, { concurrency: 1 });
      const reading = failure(client.get("/version", {}, { timeoutMs: 300, tries: 1 }));
      const writing = failure(client.write("POST", "/nodes/pve1/qemu", { vmid: 100 }, abort.signal));
      setTimeout(() => abort.abort(new Error("enough")), 50);
      expect(await writing).to.equal("? ?: enough");
      await reading;
      expect(await client.write("POST", "/after", {})).to.equal("fine");
      expect(server.seen.map(({ path }) => path)).to.deep.equal(["/version", "/after"]);
    });

    it("end the pause before another try", async () => {
      const server = await rig.server(() => ({ status: 595, reason: "No route to host" }));
      const abort = new AbortController();
      const settings = { endpoint: server.endpoint, auth: { kind: "token", token: TOKEN } } as const;
      const client = createPveClient({
        ...settings,
        tls: { insecure: true },
        retry: { baseMs: 60_000, capMs: 60_000 },
      });
      const reading = failure(client.get("/version", {}, { signal: abort.signal }));
      setTimeout(() => abort.abort(new Error("enough")), 50);
      expect(await reading).to.equal("? ?: enough");
      await client.close();
    });

    it("before the call send nothing", async () => {
      const server = await rig.server(() => OK);
      const signal = AbortSignal.abort(new Error("enough"));
      expect(await failure(rig.client(server).get("/version", {}, { signal }))).to.equal("? ?: enough");
      expect(server.seen).to.deep.equal([]);
    });
  });

  describe("secrets", () => {
    it("are struck from everything that an error holds", async () => {
      const planted = { cipassword: "planted-cipassword", password: "planted-password" };
      const echo = `${SECRET} ${planted.cipassword} ${planted.password}`;
      const body = JSON.stringify({ data: null, message: `no: ${echo}`, errors: { cipassword: `got '${echo}'` } });
      for (const reply of [{ status: 400, reason: "no", body }, { status: 500, reason: echo }, "drop"] as Reply[]) {
        const server = await rig.server(() => reply);
        const error: unknown = await rig
          .client(server)
          .write("POST", "/nodes/pve1/qemu", planted)
          .catch((e: unknown) => e);
        const shown = `${describeError(error)} ${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)}`;
        expect(shown).to.match(/PVE_(PARAMETER|ERROR|NO_ANSWER)/);
        for (const secret of [SECRET, planted.cipassword, planted.password]) expect(shown).to.not.contain(secret);
      }
    });
  });
});
