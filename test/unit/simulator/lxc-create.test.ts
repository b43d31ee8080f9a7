import { expect } from "chai";
import { startAsked, type Asked } from "./asked.js";

const TEMPLATE = "ostemplate=local:vztmpl/mini_1.0_amd64.tar.gz";

describe("simulator: containers are created", () => {
  let asked: Asked;
  beforeEach(async () => {
    asked = await startAsked();
  });
  afterEach(() => asked.stop());
  const create = (more: string, who = "ops"): Promise<string> =>
    asked.ask(`${who} POST ./lxc vmid=610 ${TEMPLATE} ${more}`.trimEnd());

  const refusals: readonly (readonly [string, string])[] = [
    [
      "rootfs=data:1 net0=name=eth0,bridge=vmbr0,mtu=9000",
      "500 net0: MTU size '9000' is bigger than bridge MTU '1500'",
    ],
    ["mp0=data:1,mp=/srv", "500 mount points configured, but 'rootfs' not set - aborting"],
    ["rootfs=isos:1", `400 {"storage":"storage 'isos' does not support container directories"}`],
    ["rootfs=spare:1", "500 storage 'spare' is disabled"],
    [
      "rootfs=data:1 mp0=local:iso/mini.iso,mp=/srv",
      "500 unable to use volume local:iso/mini.iso - content type needs to be 'rootdir'",
    ],
    ["rootfs=1", "500 Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651."],
  ];
  for (const [given, answer] of refusals)
    it(`${given} → ${answer}`, async () => {
      expect(await create(given)).to.equal(answer);
    });

  it("a taken id is refused before rights are looked at", async () => {
    expect(await asked.ask(`limited POST ./lxc vmid=200 ${TEMPLATE} rootfs=data:1`)).to.equal(
      "500 CT 200 already exists on node 'pve1'",
    );
    expect(await asked.ask(`limited POST ./lxc vmid=610 ${TEMPLATE} rootfs=data:1`)).to.equal(
      "403 Permission check failed",
    );
  });

  it("root's bare size is one on the default storage", async () => {
    expect(await create("rootfs=1 nameserver=10.0.0.1,10.0.0.2", "root")).to.equal("vzcreate: OK");
    expect(await asked.show("./lxc/610/config", "rootfs", "nameserver", "hostname", "memory")).to.equal(
      [
        'rootfs: "local:610/vm-610-disk-0.raw,size=1G"',
        'nameserver: "10.0.0.1 10.0.0.2"',
        'hostname: "CT610"',
        "memory: 512",
      ].join("\n"),
    );
  });

  it("a start that fails leaves the container", async () => {
    expect(await create("rootfs=data:1 net0=name=eth0,bridge=vmbr9 start=1")).to.equal("vzcreate: OK");
    expect(await asked.show("./lxc/610/status/current", "status")).to.equal('status: "stopped"');
  });

  it("restored ones take over what the archive holds", async () => {
    expect(await asked.ask("ops POST ./vzdump vmid=200 storage=local compress=zstd")).to.equal("vzdump: OK");
    const [backup] = JSON.parse(await asked.ask("ops GET ./storage/local/content content=backup")) as {
      volid: string;
    }[];
    const from = `restore=1 ostemplate=${backup?.volid ?? ""} storage=data`;
    expect(await asked.ask(`ops POST ./lxc vmid=610 ${from} hostname=again`)).to.equal("vzrestore: OK");
    expect(await asked.show("./lxc/610/config", "rootfs", "hostname", "memory", "tags")).to.equal(
      ['rootfs: "data:610/vm-610-disk-0.raw,size=1G"', 'hostname: "again"', "memory: 128", 'tags: "web"'].join("\n"),
    );
    expect(await asked.ask(`ops POST ./lxc vmid=200 ${from}`)).to.equal("500 CT 200 already exists on node 'pve1'");
    expect(await asked.ask(`ops POST ./lxc vmid=200 ${from} force=1`)).to.equal("vzrestore: OK");
    expect(await asked.ask(`ops POST ./lxc vmid=201 ${from} force=1`)).to.equal(
      "500 can't overwrite running container",
    );
  });
});
