import { expect } from "chai";

import type { ObservedGuest } from "../../../src/observed/types.js";
import { ProxmoorError } from "../../../src/model/errors.js";
import type { Step } from "../../../src/plan/types.js";
import { decode } from "../../../src/pve/codec/decode.js";
import { PveSender } from "../../../src/pve/sender.js";
import { PveTasks } from "../../../src/pve/tasks.js";
import { FakeClient, noGuest, offline } from "./fake-client.js";

const ID = "11111111-0000-4000-8000-000000000001";
const UPID = "UPID:pve1:000213BD:00091DF0:6B0504E0:qmcreate:300:ops@pve!main:";
const vm = { kind: "VirtualMachine", vmid: 300, node: "pve1", identity: ID } as const;
const ct = { kind: "Container", vmid: 600, node: "pve2", identity: ID } as const;
const GIB = 2 ** 30;

function guest(target: typeof vm | typeof ct, config: Record<string, string>): ObservedGuest {
  const raw = { config, pending: {}, digest: "d1" };
  const { kind, vmid, node } = target;
  return { kind, vmid, node, status: "stopped", template: false, tags: [], ...raw, ...decode(kind, raw) };
}

const vmBase = guest(vm, { smbios1: `uuid=${ID}`, scsi0: "data:300/vm-300-disk-0.raw,size=8G", onboot: "1" });
const ctBase = guest(ct, { description: `<!-- proxmoor.dev/id: ${ID} -->\n`, memory: "512" });

const steps: [string, Step, ObservedGuest | undefined, string][] = [
  [
    "create a VM",
    {
      op: "create",
      target: vm,
      fields: {
        name: "web-01",
        memory: 4 * GIB,
        "cpu.cores": 2,
        "disks.scsi0.storage": "data",
        "disks.scsi0.size": 8 * GIB,
        "networks.net0.bridge": "vmbr0",
        tags: ["web"],
      },
    },
    undefined,
    "POST /nodes/pve1/qemu vmid=300 & cores=2 & memory=4096 & name=web-01 & net0=virtio,bridge=vmbr0 & scsi0=data:8 & " +
      `smbios1=uuid=${ID} & tags=web`,
  ],
  [
    "create a container",
    {
      op: "create",
      target: ct,
      template: "local:vztmpl/debian.tar.zst",
      fields: {
        hostname: "db",
        description: "ours",
        "rootfs.storage": "data",
        "rootfs.size": 2 * GIB,
        unprivileged: true,
      },
    },
    undefined,
    `POST /nodes/pve2/lxc vmid=600 & description=ours\n<!-- proxmoor.dev/id: ${ID} --> & hostname=db & rootfs=data:2 & ` +
      "unprivileged=1 & ostemplate=local:vztmpl/debian.tar.zst",
  ],
  [
    "clone on the same node",
    { op: "clone", target: vm, source: { vmid: 900, node: "pve1", name: "tpl" }, name: "web-01" },
    undefined,
    `POST /nodes/pve1/qemu/900/clone newid=300 & name=web-01 & description=<!-- proxmoor.dev/id: ${ID} -->`,
  ],
  [
    "clone in full onto another node",
    {
      op: "clone",
      target: vm,
      source: { vmid: 900, node: "pve3", name: "tpl" },
      name: "web-01",
      full: true,
      storage: "nfs",
    },
    undefined,
    `POST /nodes/pve3/qemu/900/clone newid=300 & name=web-01 & description=<!-- proxmoor.dev/id: ${ID} --> & full=1 & ` +
      "storage=nfs & target=pve1",
  ],
  [
    "configure",
    {
      op: "configure",
      target: vm,
      changes: [
        { path: "cpu.cores", to: 4, effect: "restart" },
        { path: "onBoot", from: true, effect: "live" },
        { path: "disks.scsi0.discard", to: true, effect: "restart" },
      ],
    },
    vmBase,
    "PUT /nodes/pve1/qemu/300/config cores=4 & scsi0=data:300/vm-300-disk-0.raw,size=8G,discard=on & delete=onboot & digest=d1",
  ],
  [
    "configure a fresh clone",
    { op: "configure", target: vm, changes: [] },
    guest(vm, { smbios1: "uuid=c218453b-ea7c-4957-ad74-cb671a66e162", description: `<!-- proxmoor.dev/id: ${ID} -->` }),
    `PUT /nodes/pve1/qemu/300/config smbios1=uuid=${ID} & delete=description & digest=d1`,
  ],
  [
    "resize",
    { op: "resize", target: vm, disk: "scsi0", size: 16 * GIB },
    vmBase,
    "PUT /nodes/pve1/qemu/300/resize disk=scsi0 & size=16G & digest=d1",
  ],
  [
    "resize a container's root disk",
    { op: "resize", target: ct, disk: "rootfs", size: 1.5 * GIB },
    ctBase,
    "PUT /nodes/pve2/lxc/600/resize disk=rootfs & size=1536M & digest=d1",
  ],
  ["start", { op: "start", target: vm }, vmBase, "POST /nodes/pve1/qemu/300/status/start"],
  ["shut down", { op: "shutdown", target: ct }, ctBase, "POST /nodes/pve2/lxc/600/status/shutdown timeout=60"],
  [
    "shut down by force after a while",
    { op: "shutdown", target: vm, timeout: 300, force: true },
    vmBase,
    "POST /nodes/pve1/qemu/300/status/shutdown timeout=300 & forceStop=1",
  ],
  ["stop", { op: "stop", target: vm }, vmBase, "POST /nodes/pve1/qemu/300/status/stop"],
  ["reboot", { op: "reboot", target: vm }, vmBase, "POST /nodes/pve1/qemu/300/status/reboot timeout=60"],
  [
    "migrate a running VM",
    { op: "migrate", target: vm, to: "pve2", online: true },
    vmBase,
    "POST /nodes/pve1/qemu/300/migrate target=pve2 & online=1 & with-local-disks=1",
  ],
  [
    "migrate a running container",
    { op: "migrate", target: ct, to: "pve1", online: true },
    ctBase,
    "POST /nodes/pve2/lxc/600/migrate target=pve1 & restart=1",
  ],
  [
    "migrate what is stopped",
    { op: "migrate", target: vm, to: "pve2", online: false },
    vmBase,
    "POST /nodes/pve1/qemu/300/migrate target=pve2",
  ],
  [
    "destroy",
    { op: "destroy", target: vm },
    vmBase,
    "DELETE /nodes/pve1/qemu/300 purge=1 & destroy-unreferenced-disks=0",
  ],
];

function sender(client: FakeClient): PveSender {
  return new PveSender(client, new PveTasks(client));
}

describe("the sender", () => {
  for (const [what, step, base, expected] of steps) {
    it(`${what}: one write, which describe shows`, async () => {
      const [method = "", path = ""] = expected.split(" ");
      const client = new FakeClient({ [`${method} ${path}`]: UPID });
      const sending = sender(client);
      expect(await sending.send(step, base)).to.deep.equal({ upid: UPID });
      expect(client.calls).to.deep.equal([expected]);
      const { params } = sending.describe(step, base);
      const query = Object.entries(params).map(([key, value]) => `${key}=${value}`);
      expect([method, path, query.join(" & ")].join(" ").trim()).to.equal(expected);
    });
  }

  it("gives no UPID where PVE starts no task", async () => {
    const client = new FakeClient({ "PUT /nodes/pve1/qemu/300/config": null });
    client.write = () => Promise.resolve(null);
    const step: Step = { op: "configure", target: vm, changes: [{ path: "cpu.cores", to: 4, effect: "restart" }] };
    expect(await sender(client).send(step, vmBase)).to.deep.equal({});
  });

  it("sends nothing for a configuration that changes nothing: PVE refuses an empty one", async () => {
    const client = new FakeClient({});
    const step: Step = { op: "configure", target: vm, changes: [{ path: "onBoot", to: true, effect: "live" }] };
    expect(await sender(client).send(step, vmBase)).to.deep.equal({});
    expect(client.calls).to.deep.equal([]);
  });

  it("describes no parameters of a configuration whose guest is not there yet", () => {
    const step: Step = { op: "configure", target: vm, changes: [] };
    expect(sender(new FakeClient({})).describe(step, undefined)).to.deep.equal({
      method: "PUT",
      path: "/nodes/pve1/qemu/300/config",
      params: {},
    });
  });

  it("explains how a task ended", () => {
    const told = ["VM is locked (backup)", "no space left", "Permission check failed (/vms/100, VM.Backup)"].map(
      (exit) => {
        const { code, retry, message, subject } = sender(new FakeClient({})).explain(exit, "vm/web-01");
        return `${code} ${retry} ${subject ?? ""}: ${message}`;
      },
    );
    expect(told).to.deep.equal([
      "PVE_LOCKED later vm/web-01: VM is locked (backup)",
      "PVE_TASK_FAILED never vm/web-01: no space left",
      "PVE_PERMISSION never vm/web-01: Permission check failed (/vms/100, VM.Backup)",
    ]);
  });

  it("finds the task that a lost answer would have named: not another guest's, not a known one", async () => {
    const task = (upid: string, id: string, type: string, starttime: number) => ({
      upid,
      node: "pve1",
      type,
      id,
      user: "a@pve",
      starttime,
    });
    const client = new FakeClient({
      "/nodes/pve1/tasks": [
        task("known", "300", "qmstart", 20_000),
        task("other", "301", "qmstart", 20_000),
        task("stop", "300", "qmstop", 20_000),
        task("ours", "300", "qmstart", 20_000),
        task("old", "300", "qmstart", 1),
      ],
    });
    const hint = { node: "pve1", type: "qmstart", vmid: 300, since: 20_000_000 };
    expect(await sender(client).trace(hint, new Set(["known"]))).to.equal("ours");
    expect(await sender(client).trace(hint, new Set(["known", "ours"]))).to.equal(undefined);
  });

  it("never shows a password", () => {
    const step: Step = {
      op: "create",
      target: vm,
      fields: { "extraConfig.cipassword": "planted-secret", "cloudInit.user": "debian" },
    };
    const shown = sender(new FakeClient({})).describe(step, undefined);
    expect(shown.params).to.deep.equal({ vmid: "300", cipassword: "***", ciuser: "debian", smbios1: `uuid=${ID}` });
  });
});

describe("a look at one guest", () => {
  const at = { kind: "VirtualMachine", vmid: 300, node: "pve1" } as const;
  const pending = [
    { key: "cores", value: 1, pending: 2 },
    { key: "smbios1", value: `uuid=${ID}` },
    { key: "digest", value: "d2" },
  ];
  const current = {
    vmid: 300,
    status: "running",
    qmpstatus: "paused",
    name: "web-01",
    ha: { managed: 1, state: "started" },
  };

  it("reads configuration and status", async () => {
    const client = new FakeClient({
      "/nodes/pve1/qemu/300/pending": pending,
      "/nodes/pve1/qemu/300/status/current": current,
    });
    expect(await sender(client).look(at)).to.deep.equal({
      at: "present",
      guest: {
        ...at,
        name: "web-01",
        status: "paused",
        template: false,
        tags: [],
        haState: "started",
        config: { cores: "2", smbios1: `uuid=${ID}` },
        pending: { cores: "2" },
        current: { cores: "1" },
        digest: "d2",
        fields: { "cpu.cores": 2 },
        pendingFields: ["cpu.cores"],
        identities: [ID],
      },
    });
  });

  it("looks for a guest that left its node before it calls it absent", async () => {
    const gone = {
      "/nodes/pve1/qemu/300/pending": noGuest("pve1", 300),
      "/nodes/pve1/qemu/300/status/current": noGuest("pve1", 300),
    };
    const elsewhere = {
      ...gone,
      "/cluster/resources": [{ type: "qemu", vmid: 300, node: "pve2" }],
      "/nodes/pve2/qemu/300/pending": pending,
      "/nodes/pve2/qemu/300/status/current": current,
    };
    const moved = await sender(new FakeClient(elsewhere)).look(at);
    expect(moved.at === "present" && moved.guest.node).to.equal("pve2");
    const rows = [{ type: "qemu", vmid: 301, node: "pve2" }];
    expect(await sender(new FakeClient({ ...gone, "/cluster/resources": rows })).look(at)).to.deep.equal({
      at: "absent",
    });
  });

  it("calls silence unreadable, never absent", async () => {
    const client = new FakeClient({
      "/nodes/pve1/qemu/300/pending": offline("pve1"),
      "/nodes/pve1/qemu/300/status/current": offline("pve1"),
    });
    expect(await sender(client).look(at)).to.deep.equal({
      at: "unreadable",
      node: "pve1",
      reason: "595 No route to host",
    });
  });

  it("throws what concerns every guest", async () => {
    const refused = new ProxmoorError("PVE_AUTH", "Authentication failed!");
    const client = new FakeClient({
      "/nodes/pve1/qemu/300/pending": refused,
      "/nodes/pve1/qemu/300/status/current": refused,
    });
    const thrown: unknown = await sender(client)
      .look(at)
      .catch((error: unknown) => error);
    expect(thrown).to.equal(refused);
  });
});
