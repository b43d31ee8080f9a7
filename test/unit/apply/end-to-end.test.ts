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

/** Every kind of change on a real database: what the manifests say in, the cluster and the tasks table out. */
describe("apply, end to end", () => {
  let store: Store;
  let lab: Lab;
  beforeEach(async () => {
    store = await openStore({ provider: "sqlite", file: ":memory:" }, { now: () => 0 });
    lab = new Lab(store);
    lab.pve.add({
      kind: "VirtualMachine",
      vmid: 900,
      template: true,
      config: { name: "debian-12", cores: "1", memory: "1024", scsi0: "data:base-900-disk-0,size=2G" },
    });
  });
  afterEach(() => store.close());

  it("creates VMs, containers and clones, then has nothing to do", async () => {
    const desired = declare([WEB, CT, CLONE].join("---"));
    expect((await lab.apply(desired)).text).to.equal(
      "ct/db-01 done create\nvm/app-01 done create\nvm/web-01 done create",
    );
    console.log(await lab.tasks());
    const writes = lab.pve.writes.length;
    expect((await lab.apply(desired)).text).to.equal("ct/db-01 done keep\nvm/app-01 done keep\nvm/web-01 done keep");
    expect(lab.pve.writes).to.have.length(writes);
  });
});
