import { expect } from "chai";
import { openStore, type Store } from "../../../src/store/index.js";
import { declare, Lab } from "../../support/fake-lab.js";

const WEB = `
apiVersion: proxmoor.dev/v1
kind: VirtualMachine
metadata: { name: web-01 }
spec:
  node: pve1
  power: running
  cpu: { cores: 2 }
  memory: 2Gi
  disks: { scsi0: { storage: data, size: 4Gi } }
  networks: { net0: { bridge: vmbr0 } }
`;
const CT = `
apiVersion: proxmoor.dev/v1
kind: Container
metadata: { name: db-01 }
spec:
  node: pve2
  from: { template: "local:vztmpl/debian-12.tar.zst" }
  memory: 512Mi
  rootfs: { storage: data, size: 8Gi }
`;
const CLONE = `
apiVersion: proxmoor.dev/v1
kind: VirtualMachine
metadata: { name: app-01 }
spec:
  node: pve1
  from: { template: debian-12 }
  cpu: { cores: 4 }
`;

/** The text without the indentation of its place in the code. */
function lines(text: string): string {
  return text.trim().replace(/^ +/gm, "");
}

/** Every kind of change on a real database: what the manifests say in, the cluster and the tasks table out. */
describe("apply, end to end", () => {
  let store: Store;
  let lab: Lab;
  beforeEach(async () => {
    store = await openStore({ provider: "sqlite", file: ":memory:" }, { now: () => 0 });
    lab = new Lab(store);
    lab.pve.add({ kind: "VirtualMachine", vmid: 900, template: true, config: { name: "debian-12", cores: "1" } });
  });
  afterEach(() => store.close());

  const guests = () =>
    lab.pve
      .print()
      .split("\n")
      .filter((line) => !line.startsWith("900"))
      .join("\n");

  it("creates VMs, containers and clones, then has nothing to do", async () => {
    const desired = declare([WEB, CT, CLONE].join("---"));
    const { text } = await lab.apply(desired);
    expect(text).to.equal(
      lines(`
        ct/db-01 done create
        vm/app-01 done create
        vm/web-01 done create`),
    );
    expect(guests()).to.equal(
      lines(`
        100 ct db-01 pve2 running description=(marker) memory=512 rootfs=data:vm-100-rootfs,size=8G
        101 vm app-01 pve1 running cores=4
        102 vm web-01 pve1 running cores=2 memory=2048 net0=virtio=MAC,bridge=vmbr0 scsi0=data:vm-102-scsi0,size=4G`),
    );
    expect(await lab.tasks()).to.equal(
      lines(`
        vzcreate 100 OK
        vzstart 100 OK
        qmclone 101 OK
        configure 101 OK
        qmstart 101 OK
        qmcreate 102 OK
        qmstart 102 OK`),
    );
    const writes = lab.pve.writes.length;
    expect((await lab.apply(desired)).text).to.match(/^(\S+ done keep\n?){3}$/);
    expect(lab.pve.writes).to.have.length(writes);
  });

  it("changes just what was edited, grows a disk and restarts where the manifest allows it", async () => {
    await lab.apply(declare(WEB));
    const edited = WEB.replace("cores: 2", "cores: 3")
      .replace("size: 4Gi", "size: 6Gi")
      .replace("vmbr0", "vmbr1")
      .replace("power: running", "power: running\n  lifecycle: { restart: allow }");
    lab.pve.writes.length = 0;
    expect((await lab.apply(declare(edited))).text).to.equal("vm/web-01 done update");
    expect(lab.pve.writes.join("\n")).to.equal(
      lines(`
        resize 100
        configure 100
        reboot 100`),
    );
    expect(guests()).to.equal(
      "100 vm web-01 pve1 running cores=3 memory=2048 net0=virtio=MAC,bridge=vmbr1 scsi0=data:vm-100-scsi0,size=6G",
    );
  });

  it("says which fields wait where a restart is not wanted", async () => {
    await lab.apply(declare(WEB));
    const never = WEB.replace("cores: 2", "cores: 3") + "  lifecycle: { restart: never }\n";
    expect((await lab.apply(declare(never))).text).to.equal("vm/web-01 done update (waits: cpu.cores)");
    expect(guests()).to.contain("(waits: cores)");
  });

  it("puts a field that is no longer declared back to PVE's default", async () => {
    const tagged = WEB + "  description: the shop\n  onBoot: true\n";
    await lab.apply(declare(tagged));
    expect(guests()).to.contain("description=the shop").and.contain("onboot=1");
    expect((await lab.apply(declare(WEB))).text).to.equal("vm/web-01 done update");
    expect(guests()).to.not.match(/description|onboot/);
  });

  it("stops and starts", async () => {
    await lab.apply(declare(WEB));
    const off = WEB.replace("power: running", "power: stopped");
    expect((await lab.apply(declare(off))).text).to.equal("vm/web-01 done update");
    expect(guests()).to.contain("pve1 stopped");
    await lab.apply(declare(WEB));
    expect(guests()).to.contain("pve1 running");
    expect(await lab.tasks()).to.match(/qmshutdown 100 OK\nqmstart 100 OK$/);
  });

  it("deletes by name although its manifest says keep, and keeps the vmid out of use for a while", async () => {
    await lab.apply(declare([WEB, CT].join("---")));
    expect((await lab.remove(["ct/db-01"])).text).to.equal("ct/db-01 done delete");
    expect(guests()).to.match(/^101 vm web-01/);
    await lab.apply(declare(CLONE));
    expect(guests()).to.match(/^101 vm web-01.*\n102 vm app-01/);
    await lab.clock.pass(3_600_000);
    await lab.apply(declare(CT));
    expect(guests()).to.match(/^100 ct db-01/);
  });

  it("prunes what is no longer declared only where that is asked for and the manifest agreed", async () => {
    const prunable = CT + "  lifecycle: { prune: delete }\n";
    await lab.apply(declare([WEB, prunable].join("---")));
    expect((await lab.apply(declare(WEB))).text).to.equal("vm/web-01 done keep");
    expect((await lab.apply(declare([WEB, CLONE].join("---")), { policy: { prunes: () => true } })).text).to.equal(
      lines(`
        vm/app-01 done create
        vm/web-01 done keep
        ct/db-01 done delete`),
    );
    expect(guests()).to.match(/^101 vm web-01.*\n102 vm app-01/);
  });

  it("adopts a container that carries no identity, and a VM that does", async () => {
    lab.pve.add({
      kind: "Container",
      vmid: 150,
      node: "pve2",
      status: "running",
      config: { hostname: "db-01", memory: "256", rootfs: "data:x,size=8G" },
    });
    lab.pve.add({
      kind: "VirtualMachine",
      vmid: 151,
      status: "running",
      config: {
        name: "web-01",
        cores: "2",
        memory: "2048",
        scsi0: "data:y,size=4G",
        net0: "virtio=BC:24:11:00:00:99,bridge=vmbr0",
      },
    });
    const desired = declare([WEB, CT].join("---"));
    expect((await lab.apply(desired)).text).to.match(
      /^(\S+ skipped blocked: it exists already and Proxmoor did not make it: .*\n?){2}$/,
    );
    expect(lab.pve.writes).to.deep.equal([]);
    expect((await lab.apply(desired, { policy: { adopt: true } })).text).to.equal(
      "ct/db-01 done adopt\nvm/web-01 done adopt",
    );
    expect(guests()).to.equal(
      lines(`
        150 ct db-01 pve2 running description=(marker) memory=512 rootfs=data:x,size=8G
        151 vm web-01 pve1 running cores=2 memory=2048 net0=virtio=MAC,bridge=vmbr0 scsi0=data:y,size=4G`),
    );
    expect((await lab.apply(desired)).text).to.match(/^(\S+ done keep\n?){2}$/);
  });
});
