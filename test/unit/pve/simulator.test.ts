import { setTimeout as delay } from "node:timers/promises";

import { expect } from "chai";

import type { ObservedGuest } from "../../../src/observed/types.js";
import type { Step, StepTarget } from "../../../src/plan/types.js";
import { createPve } from "../../../src/pve/index.js";
import type { Pve, PveSettings } from "../../../src/pve/index.js";
import { createSimulator } from "../../../src/simulator/index.js";
import type { Simulator } from "../../../src/simulator/index.js";
import { followTask } from "../../../src/tasks/follow.js";
import { failure } from "./server.js";

const ID = "11111111-0000-4000-8000-000000000001";
const GIB = 2 ** 30;
const sleep = (): Promise<void> => delay(5);

/** The adapter against the embedded PVE, over real HTTPS. */
describe("the adapter and the simulator", () => {
  let simulator: Simulator;
  let pve: Pve;

  function connect(settings: Partial<PveSettings> = {}): Pve {
    return createPve({
      endpoint: simulator.url,
      auth: { kind: "token", token: simulator.credentials.token },
      tls: { fingerprint: simulator.fingerprint },
      ...settings,
    });
  }

  beforeEach(async () => {
    simulator = await createSimulator({ seed: 7, taskDuration: () => 0, speed: 1000, authDelay: 1 });
    pve = connect();
  });
  afterEach(async () => {
    await pve.close();
    await simulator.stop();
  });

  async function look(target: StepTarget): Promise<ObservedGuest> {
    const sight = await pve.sender.look(target);
    if (sight.at !== "present") throw new Error(`${target.vmid} is ${sight.at}`);
    return sight.guest;
  }

  /** Sends a step and follows its task; gives PVE's words for its end. */
  async function run(step: Step): Promise<string> {
    const base = step.op === "create" || step.op === "clone" ? undefined : await look(step.target);
    const { upid } = await pve.sender.send(step, base);
    return upid === undefined ? "no task" : (await followTask(pve.tasks, upid, { sleep })).exit;
  }

  it("reads the whole cluster", async () => {
    const { nodes, storages, guests, silent } = await pve.reader.overview();
    expect(nodes.map(({ name, status, pveVersion }) => [name, status, pveVersion])).to.deep.equal([
      ["pve1", "online", "9.2.11"],
      ["pve2", "online", "9.2.11"],
      ["pve3", "online", "9.2.11"],
    ]);
    expect(storages.map(({ id, type, shared, nodes: on }) => [id, type, shared, on.length])).to.deep.equal([
      ["local", "dir", false, 3],
      ["local-lvm", "lvmthin", false, 3],
      ["nas", "nfs", true, 3],
    ]);
    expect(guests.map(({ vmid, kind, name, status, template }) => [vmid, kind, name, status, template])).to.deep.equal([
      [100, "VirtualMachine", "legacy-app", "running", false],
      [101, "Container", "legacy-dns", "running", false],
      [9000, "VirtualMachine", "debian-12", "stopped", true],
    ]);
    expect(silent.size).to.equal(0);
    expect(await pve.version()).to.deep.equal({ version: "9.2.11", release: "9.2" });
  });

  it("calls a silent node silent, and its guests unreadable", async () => {
    await pve.close();
    pve = connect({ retry: { attempts: 1 } });
    simulator.setNodeOnline("pve2", false);
    const { silent, guests } = await pve.reader.overview();
    expect([...silent.keys()]).to.deep.equal(["pve2"]);
    expect(guests.map(({ vmid }) => vmid)).to.include(101);
    expect(await pve.sender.look({ kind: "Container", vmid: 101, node: "pve2" })).to.include({ at: "unreadable" });
  });

  it("makes, changes, grows, starts, stops and removes a VM", async () => {
    const target: StepTarget = { kind: "VirtualMachine", vmid: 300, node: "pve1", identity: ID };
    const fields = {
      name: "web-01",
      memory: 2 * GIB,
      description: "ours",
      tags: ["web"],
      onBoot: true,
      agent: true,
      "cpu.cores": 2,
      "disks.scsi0.storage": "local-lvm",
      "disks.scsi0.size": 8 * GIB,
      "disks.scsi0.discard": true,
      "networks.net0.bridge": "vmbr0",
      "networks.net0.model": "virtio",
      "cloudInit.user": "debian",
      "cloudInit.storage": "local-lvm",
      "cloudInit.sshKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICGhCXbP+pE85/3X1Sd028VJyTp1y5GkUiNuk8Sc25Qt me@desk"],
      "cloudInit.addresses.net0.ipv4": "dhcp",
      "extraConfig.ostype": "l26",
    };
    expect(await run({ op: "create", target, fields })).to.equal("OK");
    const made = await look(target);
    expect(made.identities).to.deep.equal([ID]);
    expect(made.fields).to.deep.include(fields);
    expect(made.status).to.equal("stopped");

    const changes = [
      { path: "cpu.cores", to: 4, effect: "live" },
      { path: "disks.scsi0.discard", effect: "live" },
      { path: "disks.scsi1.storage", to: "local-lvm", effect: "live" },
      { path: "disks.scsi1.size", to: GIB / 4, effect: "live" },
      { path: "networks.net0.vlan", to: 7, effect: "live" },
      { path: "description", effect: "live" },
    ] as const;
    expect(await run({ op: "configure", target, changes })).to.equal("no task");
    const changed = await look(target);
    expect(changed.fields).to.deep.include({ "cpu.cores": 4, "disks.scsi1.size": GIB / 4, "networks.net0.vlan": 7 });
    expect(changed.fields).to.not.have.any.keys("description", "disks.scsi0.discard");
    expect(changed.fields["networks.net0.mac"]).to.equal(made.fields["networks.net0.mac"]);
    expect(await run({ op: "configure", target, changes: [changes[0]] })).to.equal("no task");

    expect(await run({ op: "resize", target, disk: "scsi0", size: 16 * GIB })).to.equal("OK");
    expect((await look(target)).fields["disks.scsi0.size"]).to.equal(16 * GIB);
    expect(await run({ op: "start", target })).to.equal("OK");
    expect(await pve.reader.guestStatus(target)).to.equal("running");
    await run({ op: "configure", target, changes: [{ path: "memory", to: 4 * GIB, effect: "restart" }] });
    expect((await look(target)).pendingFields).to.deep.equal(["memory"]);
    expect(await run({ op: "configure", target, changes: [{ path: "disks.scsi1", effect: "live" }] })).to.equal(
      "no task",
    );
    expect(await run({ op: "stop", target })).to.equal("OK");
    expect(await run({ op: "destroy", target })).to.equal("OK");
    expect(await pve.sender.look(target)).to.deep.equal({ at: "absent" });
  });

  it("clones a VM that is known from its birth, and gives it its identity", async () => {
    const target: StepTarget = { kind: "VirtualMachine", vmid: 301, node: "pve1", identity: ID };
    const source = { vmid: 9000, node: "pve1", name: "debian-12" };
    expect(await run({ op: "clone", target, source, name: "web-02", full: true })).to.equal("OK");
    const born = await look(target);
    expect(born.identities[1]).to.equal(ID);
    expect(born.fields).to.deep.include({ name: "web-02", "cpu.cores": 2, "cloudInit.storage": "local-lvm" });
    await run({ op: "configure", target, changes: [{ path: "cloudInit.user", to: "debian", effect: "live" }] });
    const known = await look(target);
    expect(known.identities).to.deep.equal([ID]);
    expect(known.fields).to.deep.include({ "cloudInit.user": "debian" });
    expect(known.fields).to.not.have.property("description");
  });

  it("makes, changes and removes a container, its identity below the description", async () => {
    const target: StepTarget = { kind: "Container", vmid: 302, node: "pve2", identity: ID };
    const fields = {
      hostname: "db-01",
      memory: GIB,
      swap: 0,
      cores: 1,
      description: "ours",
      unprivileged: true,
      "rootfs.storage": "local-lvm",
      "rootfs.size": 4 * GIB,
      "mounts.mp0.storage": "local-lvm",
      "mounts.mp0.size": GIB,
      "mounts.mp0.path": "/srv",
      "networks.net0.bridge": "vmbr0",
      "networks.net0.name": "eth0",
      "networks.net0.ipv4": "dhcp",
      "features.nesting": true,
      nameservers: ["10.0.0.1", "10.0.0.2"],
    };
    const template = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst";
    expect(await run({ op: "create", target, fields, template })).to.equal("OK");
    const made = await look(target);
    expect(made.fields).to.deep.include(fields);
    expect(made.identities).to.deep.equal([ID]);
    const changes = [
      { path: "description", effect: "live" },
      { path: "networks.net0.vlan", to: 5, effect: "live" },
      { path: "memory", effect: "live" },
    ] as const;
    expect(await run({ op: "configure", target, changes })).to.equal("no task");
    const changed = await look(target);
    expect(changed.fields).to.deep.include({ memory: GIB / 2, "networks.net0.vlan": 5 });
    expect(changed.fields).to.not.have.property("description");
    expect(changed.identities).to.deep.equal([ID]);
    expect(await run({ op: "resize", target, disk: "rootfs", size: 5 * GIB })).to.equal("OK");
    expect(await run({ op: "start", target })).to.equal("OK");
    expect(await run({ op: "shutdown", target })).to.equal("OK");
    expect(await run({ op: "destroy", target })).to.equal("OK");
  });

  it("lists the tasks it started, and tells lost ones", async () => {
    const target: StepTarget = { kind: "VirtualMachine", vmid: 303, node: "pve3", identity: ID };
    await run({ op: "create", target, fields: { name: "tasks" } });
    const entries = await pve.tasks.list("pve3", { vmid: 303 });
    expect(entries.map(({ type, id, user, exit }) => [type, id, user, exit])).to.deep.equal([
      ["qmcreate", "303", "proxmoor@pve!main", "OK"],
    ]);
    const lost = "UPID:pve1:00000001:00000001:60000000:qmstart:750:ops@pve!main:";
    expect(await failure(pve.tasks.state(lost))).to.match(/^PVE_TASK_LOST never: /);
  });

  it("tells PVE's refusals word for word", async () => {
    const target: StepTarget = { kind: "VirtualMachine", vmid: 100, node: "pve1", identity: ID };
    const stale = { ...(await look(target)), digest: "0".repeat(40) };
    const configure = (changes: Extract<Step, { op: "configure" }>["changes"], base: ObservedGuest) =>
      failure(pve.sender.send({ op: "configure", target, changes }, base));
    const cores = { path: "cpu.cores", to: 3, effect: "restart" } as const;
    expect(await configure([cores], stale)).to.equal(
      "PVE_DIGEST later: checksum mismatch (file change by other user?)",
    );
    const base = await look(target);
    expect(
      await configure(
        [
          { ...cores, to: 0 },
          { path: "memory", to: 1, effect: "restart" },
        ],
        base,
      ),
    ).to.equal(
      "PVE_PARAMETER never: Parameter verification failed: cores: value must have a minimum value of 1; " +
        "memory: invalid format - format error memory.current: value must have a minimum value of 16",
    );
    const reader = connect({ auth: { kind: "token", token: simulator.credentials.readOnlyToken } });
    expect(await failure(reader.sender.send({ op: "stop", target }, base))).to.equal(
      "PVE_PERMISSION never: Permission check failed (/vms/100, VM.PowerMgmt)",
    );
    await reader.close();
  });

  it("logs in with user and password, and is refused with a wrong one", async () => {
    const auth = { kind: "ticket", username: "root@pam", password: simulator.credentials.rootPassword } as const;
    const user = connect({ auth });
    const target: StepTarget = { kind: "VirtualMachine", vmid: 100, node: "pve1", identity: ID };
    expect((await user.sender.send({ op: "stop", target }, await look(target))).upid).to.match(/:root@pam:$/);
    await user.close();
    const stranger = connect({ auth: { ...auth, password: "planted-wrong" } });
    expect(await failure(stranger.version())).to.equal("PVE_AUTH never: authentication failure");
    await stranger.close();
  });
});
