import { expect } from "chai";
import { startAsked, type Asked } from "./asked.js";

describe("simulator: containers are changed", () => {
  let asked: Asked;
  beforeEach(async () => {
    asked = await startAsked();
  });
  afterEach(() => asked.stop());
  const put = (vmid: number, given: string): Promise<string> => asked.ask(`ops PUT ./lxc/${vmid}/config ${given}`);
  const volumes = async (vmid: number): Promise<string> => {
    const rows = JSON.parse(await asked.ask(`ops GET ./storage/data/content vmid=${vmid}`)) as { volid: string }[];
    return rows.map(({ volid }) => volid).join(" ");
  };

  it("a rootfs keeps its text, a mount point is measured", async () => {
    expect(await put(200, "rootfs=data:200/vm-200-disk-0.raw,mountoptions=noatime mp0=data:1,mp=/srv")).to.equal(
      "null",
    );
    expect(await asked.show("./lxc/200/config", "rootfs", "mp0")).to.equal(
      [
        'rootfs: "data:200/vm-200-disk-0.raw,mountoptions=noatime"',
        'mp0: "data:200/vm-200-disk-1.raw,mp=/srv,size=1G"',
      ].join("\n"),
    );
  });

  it("a mount point in use waits, its volume is made at the stop", async () => {
    await put(201, "mp0=data:1,mp=/a");
    expect(await put(201, "mp0=data:2,mp=/b")).to.equal("null");
    expect(await volumes(201)).to.equal("data:201/vm-201-disk-0.raw data:201/vm-201-disk-1.raw");
    expect(await asked.ask("ops POST ./lxc/201/status/stop")).to.equal("vzstop: OK");
    expect(await asked.show("./lxc/201/config", "mp0", "unused0")).to.equal(
      ['mp0: "data:201/vm-201-disk-2.raw,mp=/b,size=2G"', 'unused0: "data:201/vm-201-disk-1.raw"'].join("\n"),
    );
    expect(await put(201, "delete=unused0")).to.equal("null");
    expect(await volumes(201)).to.equal("data:201/vm-201-disk-0.raw data:201/vm-201-disk-2.raw");
  });

  it("another container's volume is let go, not removed", async () => {
    await put(200, "mp0=data:202/base-202-disk-0.raw,mp=/theirs");
    await put(200, "delete=mp0");
    expect(await asked.show("./lxc/200/config", "unused0")).to.equal('unused0: "data:202/base-202-disk-0.raw"');
    await put(200, "delete=unused0");
    expect(await volumes(202)).to.equal("data:202/base-202-disk-0.raw");
  });

  it("deleting what is not set touches nothing, not even what waits", async () => {
    await put(201, "cmode=shell");
    expect(await put(201, "delete=cmode,startup,unprivileged")).to.equal(
      "500 unable to delete read-only option: 'unprivileged'",
    );
    expect(await put(201, "delete=cmode,startup")).to.equal("null");
    expect(await asked.show("./lxc/201/config", "cmode")).to.equal('cmode: "shell"');
  });

  it("of a change that fails in part nothing is written", async () => {
    expect(await put(201, "cores=2 net0=name=eth0,bridge=vmbr7")).to.equal(
      '400 {"net0":"unable to hotplug net0: bridge \'vmbr7\' does not exist\\n"}',
    );
    expect(await asked.show("./lxc/201/config", "cores")).to.equal("cores: undefined");
  });

  it("protection holds the volumes", async () => {
    await put(200, "protection=1");
    expect(await put(200, "mp0=data:1,mp=/srv")).to.equal(
      "500 can't update CT 200 drive 'mp0' - protection mode enabled",
    );
    expect(await put(200, "rootfs=data:200/vm-200-disk-0.raw,acl=1")).to.equal(
      "500 can't update CT 200 drive 'rootfs' - protection mode enabled",
    );
  });

  it("a lock that was set by a change holds off all that follows", async () => {
    expect(await put(200, "lock=backup")).to.equal("null");
    expect([
      await put(200, "cores=1"),
      await asked.ask("ops POST ./lxc/200/status/start"),
      await asked.ask("ops PUT ./lxc/200/resize disk=rootfs size=+1G"),
      await asked.ask("ops POST ./lxc/200/clone newid=610"),
      await asked.ask("ops DELETE ./lxc/200"),
    ]).to.deep.equal([
      "500 CT is locked (backup)",
      "vzstart: CT is locked (backup)",
      "500 CT is locked (backup)",
      "500 CT is locked (backup)",
      "500 CT is locked (backup)",
    ]);
  });

  it("features beyond nesting are root's", async () => {
    const denied = "403 Permission check failed (changing feature flags (except nesting) is only allowed for root@pam)";
    const said: string[] = [];
    for (const given of ["features=nesting=0", "features=nesting=1", "features=nesting=0", "features=fuse=1"])
      said.push(await put(200, given));
    expect(said).to.deep.equal([denied, "null", "null", denied]);
  });

  const resizes: readonly (readonly [string, string])[] = [
    [
      "disk=mp9 size=+1G",
      '500 {"volume":"property is missing and it is not optional","mp":"property is missing and it is not optional"}',
    ],
    ["disk=rootfs size=512M", "500 unable to shrink disk size"],
    ["disk=rootfs size=1024M", "500 disk is already at specified size"],
    ["disk=rootfs size=+512M", "resize: OK"],
  ];
  for (const [given, answer] of resizes)
    it(`resize ${given} → ${answer}`, async () => {
      expect(await asked.ask(`ops PUT ./lxc/200/resize ${given}`)).to.equal(answer);
    });
});
