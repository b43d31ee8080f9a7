import { expect } from "chai";
import { createSimulator, ManualClock } from "../../../src/simulator/index.js";

/** What a client would send: method, path, form; the last UPID stands for `UPID`. */
const CALLS: readonly (readonly [string, string, string?])[] = [
  ["POST", "/access/ticket", "username=proxmoor@pve&password=wrong"],
  ["POST", "/nodes/pve1/qemu", "vmid=200&name=one&net0=virtio,bridge=vmbr0&scsi0=local-lvm:4&ide2=nas:cloudinit"],
  ["GET", "/nodes/pve1/tasks/UPID/log"],
  ["GET", "/nodes/pve1/qemu/200/config"],
  ["POST", "/nodes/pve1/qemu/9000/clone", "newid=201&name=two"],
  ["GET", "/nodes/pve1/qemu/201/pending"],
  ["POST", "/nodes/pve1/qemu/201/status/start"],
  ["GET", "/nodes/pve1/tasks/UPID/status"],
  ["PUT", "/nodes/pve1/qemu/201/config", "net1=virtio,bridge=vmbr1&cores=4"],
  ["POST", "/nodes/pve1/qemu/201/migrate", "target=pve2&online=1&with-local-disks=1"],
  ["POST", "/nodes/pve1/vzdump", "vmid=200&storage=local"],
  [
    "POST",
    "/nodes/pve2/lxc",
    "vmid=300&ostemplate=local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst&rootfs=local-lvm:1",
  ],
  ["POST", "/access/users/proxmoor@pve/token/second"],
  ["GET", "/cluster/resources"],
  ["GET", "/cluster/tasks"],
  ["GET", "/nodes/pve1/storage/local-lvm/content"],
  ["GET", "/nope"],
  ["PUT", "/nodes/pve1/qemu/201/config", "memory=lots"],
];

/** All answers, status lines and bodies, one after the other. */
async function transcript(seed: number): Promise<string> {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const simulator = await createSimulator({ profile: "demo", seed, clock, listen: false, authDelay: 0 });
  const out: string[] = [simulator.credentials.token];
  let upid = "";
  for (const [method, path, form] of CALLS) {
    const body = Buffer.from(form ?? "");
    const answered = await simulator.exchange({
      method,
      url: `/api2/json${path.replace("UPID", encodeURIComponent(upid))}`,
      headers: {
        authorization: `PVEAPIToken=${simulator.credentials.token}`,
        "content-type": "application/x-www-form-urlencoded",
        "content-length": String(body.length),
      },
      body,
    });
    const answer = answered?.answer;
    upid = /"(UPID:[^"]+)"/.exec(answer?.body ?? "")?.[1] ?? upid;
    out.push(`${method} ${path}`, `${answer?.status} ${answer?.reason}`, answer?.body ?? "");
    clock.advance(1500);
  }
  await simulator.stop();
  return out.join("\n");
}

describe("simulator: one seed and one clock", () => {
  it("give the same answers byte for byte", async () => {
    const first = await transcript(7);
    expect(first).to.contain("UPID:pve1:").and.to.contain("BC:24:11:").and.to.contain('"digest":');
    expect(await transcript(7)).to.equal(first);
  });

  it("give others with another seed", async () => {
    const macs = (text: string) => new Set(text.match(/BC:24:11(:[0-9A-F]{2}){3}/g));
    const [one, other] = [macs(await transcript(7)), macs(await transcript(8))];
    expect([...one].filter((mac) => other.has(mac))).to.deep.equal([]);
  });
});
