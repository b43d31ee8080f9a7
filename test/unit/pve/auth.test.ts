import { expect } from "chai";

import { failure, Rig, TOKEN } from "./server.js";
import type { Reply, SeenRequest } from "./server.js";

const HOUR = 3_600_000;
const REFUSED: Reply = { status: 401, reason: "permission denied - invalid PVE ticket" };

/** A server that gives tickets T1, T2, … and accepts the newest and, for `old` tickets, those too. */
function ticketServer(options: { readonly renewable?: boolean; readonly accepts?: (ticket: string) => boolean } = {}) {
  let count = 0;
  return (request: SeenRequest): Reply => {
    if (request.path === "/access/ticket") {
      const byTicket = /^PVE:T\d+$/.test(request.params["password"] ?? "");
      if (byTicket ? options.renewable === false : request.params["password"] !== "s3cret!") {
        return {
          status: 401,
          reason: "authentication failure",
          body: `{"message":"authentication failure\\n","data":null}`,
        };
      }
      count += 1;
      return { data: { ticket: `PVE:T${count}`, CSRFPreventionToken: `csrf${count}`, username: "ops@pve" } };
    }
    const ticket = decodeURIComponent(/PVEAuthCookie=([^;]*)/.exec(request.headers.cookie ?? "")?.[1] ?? "");
    if (options.accepts !== undefined && !options.accepts(ticket)) return REFUSED;
    const csrf = request.headers["csrfpreventiontoken"] ?? "";
    if (request.method !== "GET" && csrf !== ticket.replace("PVE:T", "csrf")) {
      return { status: 401, reason: "Permission denied - invalid csrf token" };
    }
    return { data: `${ticket} ${String(csrf)}`.trim() };
  };
}

const AUTH = { auth: { kind: "ticket", username: "ops@pve", password: "s3cret!" } } as const;

describe("tickets", () => {
  const rig = new Rig();
  afterEach(() => rig.close());

  it("are got once for all, and carry the CSRF token on writes only", async () => {
    const server = await rig.server(ticketServer());
    const client = rig.client(server, AUTH);
    const reads = await Promise.all([client.get("/a"), client.get("/b"), client.get("/c")]);
    expect(reads).to.deep.equal(["PVE:T1", "PVE:T1", "PVE:T1"]);
    expect(await client.write("DELETE", "/d", {})).to.equal("PVE:T1 csrf1");
    expect(server.seen.filter(({ path }) => path === "/access/ticket").length).to.equal(1);
  });

  it("are renewed after an hour, with themselves as password", async () => {
    const server = await rig.server(ticketServer());
    const client = rig.client(server, AUTH);
    await client.get("/a");
    rig.now += HOUR - 1;
    expect(await client.get("/b")).to.equal("PVE:T1");
    rig.now += 1;
    expect(await client.get("/c")).to.equal("PVE:T2");
    const logIns = server.seen.filter(({ path }) => path === "/access/ticket").map(({ params }) => params["password"]);
    expect(logIns).to.deep.equal(["s3cret!", "PVE:T1"]);
  });

  it("that PVE won't renew are got anew by password", async () => {
    const server = await rig.server(ticketServer({ renewable: false }));
    const client = rig.client(server, AUTH);
    await client.get("/a");
    rig.now += HOUR;
    expect(await client.get("/b")).to.equal("PVE:T2");
    const logIns = server.seen.filter(({ path }) => path === "/access/ticket").map(({ params }) => params["password"]);
    expect(logIns).to.deep.equal(["s3cret!", "PVE:T1", "s3cret!"]);
  });

  it("older than two hours are not offered for renewal", async () => {
    const server = await rig.server(ticketServer());
    const client = rig.client(server, AUTH);
    await client.get("/a");
    rig.now += 2 * HOUR;
    await client.get("/b");
    const logIns = server.seen.filter(({ path }) => path === "/access/ticket").map(({ params }) => params["password"]);
    expect(logIns).to.deep.equal(["s3cret!", "s3cret!"]);
  });

  it("that PVE refuses are replaced once; who sent a write is told to look before it is sent again", async () => {
    const server = await rig.server(ticketServer({ accepts: (ticket) => ticket !== "PVE:T1" && ticket !== "PVE:T2" }));
    const client = rig.client(server, AUTH);
    expect(await failure(client.get("/a"))).to.equal("PVE_AUTH never: permission denied - invalid PVE ticket");
    const renewed = "the log-in had ended and there is a new one now: permission denied - invalid PVE ticket";
    expect(await failure(client.write("PUT", "/b", {}))).to.equal(`PVE_AUTH later: ${renewed}`);
    expect(await client.write("PUT", "/b", {})).to.equal("PVE:T3 csrf3");
    expect(server.seen.map(({ path }) => path)).to.deep.equal([
      "/access/ticket",
      "/a",
      "/access/ticket",
      "/a",
      "/b",
      "/access/ticket",
      "/b",
    ]);
  });

  it("are not got with a wrong password; the error does not hold it", async () => {
    const server = await rig.server(ticketServer());
    const auth = { kind: "ticket", username: "ops@pve", password: "wr0ng-one" } as const;
    expect(await failure(rig.client(server, { auth }).get("/a"))).to.equal("PVE_AUTH never: authentication failure");
    expect(server.seen.length).to.equal(1);
  });

  it("that need a second factor are refused with what to do", async () => {
    const server = await rig.server(() => ({ data: { ticket: "PVE:!tfa!x", CSRFPreventionToken: "c", NeedTFA: 1 } }));
    expect(await failure(rig.client(server, AUTH).get("/a"))).to.equal(
      "PVE_AUTH never: the log-in of ops@pve needs a second factor",
    );
  });

  it("read the password again at each log-in, and whoever gives up waiting does not end it for others", async () => {
    let password = "stale";
    const server = await rig.server(ticketServer());
    const auth = { kind: "ticket", username: "ops@pve", password: () => Promise.resolve(`${password}\n`) } as const;
    const client = rig.client(server, { auth });
    expect(await failure(client.get("/a"))).to.contain("PVE_AUTH");
    password = "s3cret!";
    const abort = new AbortController();
    const first = failure(client.get("/b", {}, { signal: abort.signal }));
    const second = client.get("/c");
    abort.abort(new Error("enough"));
    expect([await first, await second]).to.deep.equal(["? ?: enough", "PVE:T1"]);
  });
});

describe("tokens", () => {
  const rig = new Rig();
  afterEach(() => rig.close());

  it("are read again after a 401, and tried once more where they changed", async () => {
    let token = "ops@pve!main=old";
    const server = await rig.server(({ headers }) =>
      headers.authorization === `PVEAPIToken=${TOKEN}`
        ? { data: 1 }
        : { status: 401, reason: "Authentication failed!" },
    );
    const client = rig.client(server, { auth: { kind: "token", token: () => token } });
    expect(await failure(client.get("/a"))).to.equal("PVE_AUTH never: Authentication failed!");
    expect(server.seen.length).to.equal(1);
    token = TOKEN;
    const renewed = "PVE_AUTH later: the log-in had ended and there is a new one now: Authentication failed!";
    expect(await failure(client.write("POST", "/b", {}))).to.equal(renewed);
    expect(await client.write("POST", "/b", {})).to.equal(1);
    expect(server.seen.map(({ path }) => path)).to.deep.equal(["/a", "/b", "/b"]);
  });

  it("that are none are refused, without being shown", async () => {
    const server = await rig.server(() => ({ data: 1 }));
    for (const token of [
      "",
      "secret-only",
      "ops@pve=secret-only",
      "ops@pve!main=secret-\u00fc",
      "a b@pve!main=secret-only",
    ]) {
      expect(await failure(rig.client(server, { auth: { kind: "token", token } }).get("/a"))).to.equal(
        "CONFIG_INVALID never: the API token is not of the form user@realm!id=secret",
      );
    }
    expect(server.seen).to.deep.equal([]);
  });
});
