import { expect } from "chai";
import { spawnSync } from "node:child_process";
import { proxmoor } from "../support/cli.js";
import { openLab, type Lab } from "../support/lab.js";

const COMMANDS = [
  "diff",
  "apply",
  "delete",
  "get",
  "describe",
  "validate",
  "controller",
  "simulator",
  "db",
  "history",
  "version",
  "completion",
];

describe("the commands", () => {
  it("each have help with examples", async () => {
    const all = await proxmoor(["--help"]);
    expect(all.code).to.equal(0);
    for (const command of COMMANDS) {
      expect(all.out).to.contain(`  ${command}`);
      const help = await proxmoor([command, "--help"]);
      expect(help.code, command).to.equal(0);
      expect(help.out, command).to.match(/\nExamples:\n {2}(.*\|.*)?.*proxmoor /);
    }
  });

  it("answer a command line that is not understood with 2 and a hint", async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["aply"], /unknown command 'aply'\n\(Did you mean apply\?\)/],
      [["diff", "--recursve"], /unknown option '--recursve'\n\(Did you mean --recursive\?\)/],
      [["diff"], /no manifests are given \[USAGE\]/],
      [["get", "vmz", "--cached"], /there is no list "vmz" \[USAGE\]/],
      [["describe", "web-01"], /"web-01" names no guest \[USAGE\]/],
      [["completion", "csh"], /there is no completion for "csh" \[USAGE\]/],
      [["simulator", "--profile", "big"], /there is no profile "big" \[USAGE\]/],
      [["simulator", "--listen", "nowhere"], /an address looks like 127\.0\.0\.1:8006, not "nowhere" \[USAGE\]/],
      [["get", "nodes"], /no PVE endpoint is set \[CONFIG_MISSING\]/],
    ];
    for (const [args, message] of cases) {
      const called = await proxmoor(args, { env: { DATABASE_URL: "file::memory:", HOME: "/nonexistent" } });
      expect(called.err, args.join(" ")).to.match(message);
      expect(called.code, args.join(" ")).to.equal(2);
    }
  });

  it("print completion scripts that the shells accept", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { out, code } = await proxmoor(["completion", shell]);
      expect(code).to.equal(0);
      for (const command of COMMANDS) expect(out, shell).to.contain(command);
      const found = spawnSync(shell, ["-n"], { input: out });
      // a shell that is not on this machine can't judge
      if (found.error === undefined) expect(found.status, `${shell}: ${found.stderr.toString()}`).to.equal(0);
    }
  });

  it("say their version", async () => {
    expect((await proxmoor(["version"])).out).to.match(/^proxmoor \d+\.\d+\.\d+ \(Node\.js \d+/);
    expect(JSON.parse((await proxmoor(["version", "-o", "json"])).out)).to.have.keys("proxmoor", "node", "platform");
  });
});

describe("get and describe", () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab();
    expect((await lab.call(["apply", "-f", "manifests"])).code).to.equal(0);
  });
  after(() => lab.close());

  it("list nodes, guests, storages, resources and tasks", async () => {
    expect((await lab.call(["get", "nodes"])).out).to.match(/^NAME +STATUS +CPU.*\npve1 +online/);
    const vms = (await lab.call(["get", "vms"])).out;
    expect(vms)
      .to.match(/^NAME +VMID +NODE/)
      .and.to.match(/\nweb-01 +\d+ +pve1 +running/)
      .and.to.match(/\ndebian-12 +9000 +pve1 +template/);
    expect((await lab.call(["get", "containers", "-o", "wide"])).out).to.match(/\ndns-01 +\d+ +pve2 +running/);
    expect((await lab.call(["get", "storage"])).out).to.match(/\nnas +nfs +yes/);
    expect((await lab.call(["get", "resources", "-o", "name"])).out).to.equal(
      "ct/cache-01\nct/dns-01\nvm/db-01\nvm/web-01\n",
    );
    expect((await lab.call(["get", "tasks"])).out).to.match(/vm\/web-01 +qmclone +OK/);
  });

  it("choose by name and by label", async () => {
    expect((await lab.call(["get", "vms/web-01", "-o", "name"])).out).to.equal("vm/web-01\n");
    expect((await lab.call(["get", "resources", "-l", "app=web", "-o", "name"])).out).to.equal("vm/web-01\n");
    expect((await lab.call(["get", "vms", "-l", "app=web", "-o", "name"])).out).to.equal("vm/web-01\n");
    const none = await lab.call(["get", "vms/nobody"]);
    expect(none.code).to.equal(2);
    expect(none.err).to.contain("[NOT_FOUND]");
  });

  it("give JSON with exact numbers, and YAML", async () => {
    const list = JSON.parse((await lab.call(["get", "vms", "-o", "json"])).out) as {
      items: { name: string; memoryBytes: number }[];
    };
    expect(list.items.find((one) => one.name === "web-01")?.memoryBytes).to.equal(1073741824);
    expect((await lab.call(["get", "vms", "-o", "yaml"])).out).to.contain("memoryBytes: 1073741824");
  });

  it("list what the database holds without PVE", async () => {
    const cached = await lab.call(["get", "vms", "--cached"], { env: { PROXMOX_VE_ENDPOINT: "" } });
    expect(cached.code, cached.err).to.equal(0);
    expect(cached.out).to.contain("web-01");
  });

  it("watch until they are told to stop", async () => {
    const stop = new AbortController();
    const watched = lab.call(["get", "resources", "-w"], { signal: stop.signal, onOutput: () => stop.abort() });
    expect((await watched).code).to.equal(0);
  });

  it("describe a guest on one page", async () => {
    const { out, code } = await lab.call(["describe", "vm/web-01"]);
    expect(code).to.equal(0);
    for (const part of [
      "Name:      vm/web-01",
      "Managed:   yes, ready",
      "Last applied:\n",
      "  memory: 1Gi\n",
      "Configuration in PVE:\n",
      "Tasks:\n",
    ])
      expect(out).to.contain(part);
    expect(JSON.parse((await lab.call(["describe", "vm/web-01", "-o", "json"])).out)).to.include.keys(
      "ref",
      "resource",
      "guest",
      "tasks",
      "events",
    );
  });
});
