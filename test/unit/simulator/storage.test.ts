import { expect } from "chai";
import { startAsked, type Asked } from "./asked.js";

describe("simulator: storages", () => {
  let asked: Asked;
  before(async () => {
    asked = await startAsked();
  });
  after(() => asked.stop());

  const calls: readonly (readonly [string, string])[] = [
    ["ops POST /storage storage=t1 type=nfs server=10.0.0.1", "500 missing value for required option 'export'"],
    [
      "ops POST /storage storage=t1 type=lvm vgname=a/b",
      `400 {"vgname":"invalid format - lvm name 'a/b' contains illegal characters\\n"}`,
    ],
    [
      "ops POST /storage storage=t1 type=dir path=/srv/t1 content=iso,none",
      "500 unable to combine 'none' with other content types",
    ],
    ["ops POST /storage storage=t1 type=nfs server=10.0.0.1 export=/x disable=1", '{"storage":"t1","type":"nfs"}'],
    ["ops PUT /storage/t1 delete=export", "500 update storage failed: unable to delete required option 'export'"],
    ["ops DELETE /storage/t1", "null"],
    ["auditor GET /storage/local", "403 Permission check failed (/storage/local, Datastore.Allocate)"],
    [
      "ops POST ./storage/local/download-url content=iso filename=mini.iso url=http://example.org/mini.iso",
      "download: refusing to override existing file '/var/lib/vz/template/iso/mini.iso'",
    ],
    [
      "ops POST ./storage/isos/download-url content=iso filename=a/b%20c.iso url=http://127.0.0.1:9/x.iso",
      "download: download failed: Connecting to 127.0.0.1:9... failed: Connection refused.",
    ],
    [
      "ops GET ./storage/local/content/local:import/mini.qcow2",
      '{"path":"/var/lib/vz/import/mini.qcow2","size":67108864,"used":331776,"format":"qcow2"}',
    ],
    // the folder counts, not the name: 731's own disks still begin with 0
    ["ops POST ./storage/data/content vmid=730 filename=vm-731-disk-0.raw size=1M", '"data:730/vm-731-disk-0.raw"'],
    ["ops POST ./qemu vmid=731 scsi0=data:1,format=raw", "qmcreate: OK"],
    [
      "ops POST ./storage/data/content vmid=731 filename=vm-731-disk-0.raw size=1M",
      "500 disk image '/srv/pve/data/images/731/vm-731-disk-0.raw' already exists",
    ],
  ];
  it("answer as PVE does", async () => {
    const said: (readonly [string, string])[] = [];
    for (const [line] of calls) said.push([line, await asked.ask(line)]);
    expect(said).to.deep.equal(calls);
  });

  it("of another node are told apart from all", async () => {
    const names = async (more: string): Promise<string> => {
      const rows = JSON.parse(await asked.ask(`ops GET ./storage ${more}`.trimEnd())) as { storage: string }[];
      return rows.map(({ storage }) => storage).join(" ");
    };
    expect(await names("target=pve1")).to.equal(await names(""));
    expect(await names("enabled=1")).to.equal("data isos local");
  });
});
