import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "chai";
import { ApiFault, createSimulator, type Simulator } from "../../../src/simulator/index.js";
import { send, type Received, type Sent } from "./wire.js";

describe("simulator: server", () => {
  let folder: string;
  let logFile: string;
  let simulator: Simulator;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "proxmoor-simulator-"));
    logFile = path.join(folder, "requests.jsonl");
    simulator = await createSimulator({
      profile: "demo",
      taskDuration: () => 0,
      authDelay: 0,
      requestLog: logFile,
    });
  });
  afterEach(async () => {
    await simulator.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const call = (method: string, at: string, more: Partial<Sent> = {}): Promise<Received> =>
    send(simulator, { method, path: at, token: simulator.credentials.token, ...more });
  const line = ({ status, reason }: Received): string => `${status} ${reason}`;

  it("says how to reach it", async () => {
    expect(Object.keys(simulator.settings())).to.deep.equal([
      "PROXMOX_VE_ENDPOINT",
      "PROXMOX_VE_API_TOKEN",
      "PROXMOX_VE_FINGERPRINT",
    ]);
    expect(simulator.fingerprint).to.match(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    expect((await call("GET", "/version")).json().data).to.include({ version: "9.2.11" });
  });

  it("lets the reading token read and nothing else", async () => {
    const token = simulator.credentials.readOnlyToken;
    expect(line(await call("GET", "/nodes/pve1/qemu/100/config", { token }))).to.equal("200 OK");
    expect(line(await call("POST", "/pools", { token, params: { poolid: "x" } }))).to.equal(
      "403 Permission check failed (/pool/x, Pool.Allocate)",
    );
  });

  it("gives tickets, whose writes need the CSRF token", async () => {
    const username = "root@pam";
    const password = simulator.credentials.rootPassword;
    const anonymous = { method: "POST", path: "/access/ticket" };
    const login = await send(simulator, { ...anonymous, params: { username, password } });
    const { ticket, CSRFPreventionToken } = login.json().data as Record<"ticket" | "CSRFPreventionToken", string>;
    const cookie = `PVEAuthCookie=${encodeURIComponent(ticket)}`;
    const write = { method: "POST", path: "/pools", params: { poolid: "p" } };
    const answers = [
      await send(simulator, { method: "GET", path: "/pools", headers: { cookie } }),
      await send(simulator, { ...write, headers: { cookie } }),
      await send(simulator, { ...write, headers: { cookie, csrfpreventiontoken: CSRFPreventionToken } }),
      await send(simulator, { ...anonymous, params: { username, password: "wrong" } }),
    ];
    expect(answers.map(line)).to.deep.equal([
      "200 OK",
      "401 Permission denied - invalid csrf token",
      "200 OK",
      "401 authentication failure",
    ]);
  });

  it("passes calls on to the node that the path names, which may be away", async () => {
    expect(line(await call("GET", "/nodes/pve2/qemu"))).to.equal("200 OK");
    simulator.setNodeOnline("pve2", false);
    const answers = [await call("GET", "/nodes/pve2/qemu"), await call("GET", "/nodes/pve1/qemu")];
    expect(answers.map(line)).to.deep.equal(["595 No route to host", "200 OK"]);
    const rows = (await call("GET", "/cluster/resources", { params: { type: "node" } })).json().data;
    expect((rows as { node: string; status: string }[]).map((row) => `${row.node} ${row.status}`).sort()).to.deep.equal(
      ["pve1 online", "pve2 offline", "pve3 online"],
    );
  });

  it("drops a request of too many header lines without a word", async () => {
    const headers = Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`x-${n}`, "1"]));
    const timeout = new Promise<string>((resolve) => setTimeout(() => resolve("nothing yet"), 50));
    const answer = call("GET", "/version", { headers }).then(line, () => "closed");
    expect(await Promise.race([answer, timeout])).to.equal("nothing yet");
    await simulator.stop();
    expect(await answer).to.equal("closed");
  });

  it("answers somebody else in the same process with the same rules", async () => {
    const error: unknown = await simulator
      .as("proxmoor@pve!readonly")
      .call("DELETE", "/nodes/pve1/qemu/100")
      .catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ApiFault);
    expect((error as ApiFault).status).to.equal(403);
  });

  it("logs every request, secrets masked", async () => {
    await call("PUT", "/nodes/pve1/qemu/9000/config", {
      params: { cipassword: "hush-1", sshkeys: "ssh-ed25519%20AAAA", ciuser: "admin" },
    });
    await send(simulator, {
      method: "POST",
      path: "/access/ticket",
      params: { username: "root@pam", password: "hush-2" },
    });
    await simulator.stop();
    const lines = (await readFile(logFile, "utf8")).trimEnd().split("\n");
    const logged = lines.map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(
      logged.map(({ method, path: at, params, user, status }) => ({ method, at, params, user, status })),
    ).to.deep.equal([
      {
        method: "PUT",
        at: "/api2/json/nodes/pve1/qemu/9000/config",
        params: { cipassword: "***", sshkeys: "***", ciuser: "admin" },
        user: "proxmoor@pve!main",
        status: 200,
      },
      {
        method: "POST",
        at: "/api2/json/access/ticket",
        params: { username: "root@pam", password: "***" },
        user: "",
        status: 401,
      },
    ]);
    expect(lines.join("\n")).to.not.contain("hush");
    expect(simulator.requests).to.deep.equal(logged);
  });
});
