import { expect } from "chai";
import { createSimulator, largeCluster, ManualClock } from "../../../src/simulator/index.js";
import { play } from "../../support/transcript.js";

const EXPECTED = `# what there is
> GET /nodes | node,status,maxcpu
- {"node":"pve1","status":"online","maxcpu":64}
- {"node":"pve2","status":"online","maxcpu":64}
> GET /cluster/resources type=vm | id,node,name,status,maxdisk,tags
- {"id":"qemu/100","node":"pve1","name":"vm-100","status":"stopped","maxdisk":17179869184,"tags":"prod;web"}
- {"id":"qemu/101","node":"pve2","name":"vm-101","status":"running","maxdisk":17179869184,"tags":"test"}
- {"id":"qemu/102","node":"pve1","name":"vm-102","status":"running","maxdisk":17179869184,"tags":"prod;web"}
- {"id":"lxc/103","node":"pve2","name":"ct-103","status":"running","maxdisk":8589934592}
- {"id":"qemu/104","node":"pve1","name":"vm-104","status":"running","maxdisk":17179869184,"tags":"prod;web"}
> GET /storage | storage,type,content
- {"storage":"local","type":"dir","content":"backup,iso,snippets,vztmpl"}
- {"storage":"local-lvm","type":"lvmthin","content":"images,rootdir"}
- {"storage":"tank","type":"zfspool","content":"images,rootdir"}
- {"storage":"nas","type":"nfs","content":"images,rootdir,backup,iso,snippets,vztmpl"}
- {"storage":"ceph","type":"rbd","content":"images,rootdir"}
> GET /nodes/pve1/storage/nas/content vmid=102 | volid,size
- {"volid":"nas:102/vm-102-disk-0.qcow2","size":17179869184}

# it is a cluster like any other
> POST /nodes/pve1/qemu/100/status/start
task qmstart 100: OK
> POST /nodes/pve2/qemu/101/migrate target=pve1 online=1 with-local-disks=1
task qmigrate 101: OK
> POST /nodes/pve2/lxc/103/status/stop
task vzstop 103: OK
`;

describe("simulator: a made-up cluster of any size", () => {
  it("has the guests and nodes that were asked for", async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1));
    const from = largeCluster({ nodes: 2, guests: 5 });
    const simulator = await createSimulator({ from, clock, listen: false });
    try {
      expect(await play(EXPECTED, simulator, clock)).to.equal(EXPECTED);
    } finally {
      await simulator.stop();
    }
  });

  it("is refused where it has no node", () => {
    expect(() => largeCluster({ nodes: 0, guests: 1 })).to.throw(RangeError, "0 nodes with 1 guests");
  });
});
