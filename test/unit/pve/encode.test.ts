import { expect } from "chai";

import type { FieldValue } from "../../../src/desired/types.js";
import type { Kind } from "../../../src/model/ref.js";
import { decode } from "../../../src/pve/codec/decode.js";
import { encode } from "../../../src/pve/codec/encode.js";
import { fixture, rawOf } from "./support.js";
import type { RecordedConfig } from "./support.js";

const ID = "11111111-0000-4000-8000-000000000001";
const VM = { smbios1: `uuid=${ID}` };
const CT = { description: `<!-- proxmoor.dev/id: ${ID} -->\n` };
const GIB = 2 ** 30;

/** What a change sends, as text: `key = value`, then `delete key`. */
function sent(kind: Kind, config: Record<string, string>, changes: Record<string, FieldValue | undefined>): string[] {
  const identityKey = kind === "VirtualMachine" ? VM : CT;
  const { set, remove } = encode({
    kind,
    config: { ...identityKey, ...config },
    changes: Object.entries(changes).map(([path, to]) => ({ path, to })),
    identity: ID,
  });
  return [...Object.entries(set).map(([key, value]) => `${key} = ${value}`), ...remove.map((key) => `delete ${key}`)];
}

describe("encoding changes", () => {
  const disk = "data:301/vm-301-disk-0.raw,cache=writeback,iops_rd=100,size=32G,wwn=0x5000c500a1b2c3d4";
  const net = "virtio=BC:24:11:61:98:03,bridge=vmbr0,firewall=1,trunks=3;5";
  const cases: [string, Kind, Record<string, string>, Record<string, FieldValue | undefined>, string[]][] = [
    ["a scalar", "VirtualMachine", { cores: "2" }, { "cpu.cores": 4 }, ["cores = 4"]],
    ["a scalar back to the default", "VirtualMachine", { cores: "2" }, { "cpu.cores": undefined }, ["delete cores"]],
    ["a default that is not set", "VirtualMachine", {}, { "cpu.cores": undefined }, []],
    ["memory in MiB", "VirtualMachine", { memory: "2048" }, { memory: 4 * GIB }, ["memory = 4096"]],
    ["memory that is there", "VirtualMachine", { memory: "current=2048" }, { memory: 2 * GIB }, []],
    [
      "a CPU type, its flags kept",
      "VirtualMachine",
      { cpu: "kvm64,flags=+aes" },
      { "cpu.type": "host" },
      ["cpu = host,flags=+aes"],
    ],
    [
      "a CPU type gone, its flags kept",
      "VirtualMachine",
      { cpu: "cputype=host,flags=+aes" },
      { "cpu.type": undefined },
      ["cpu = kvm64,flags=+aes"],
    ],
    [
      "agent on, its options kept",
      "VirtualMachine",
      { agent: "enabled=0,type=isa" },
      { agent: true },
      ["agent = enabled=1,type=isa"],
    ],
    [
      "agent gone, its options kept",
      "VirtualMachine",
      { agent: "1,type=isa" },
      { agent: undefined },
      ["agent = 0,type=isa"],
    ],
    ["agent gone", "VirtualMachine", { agent: "1" }, { agent: undefined }, ["delete agent"]],
    ["tags", "VirtualMachine", { tags: "a;b" }, { tags: ["a", "c"] }, ["tags = a;c"]],
    ["tags that are there", "VirtualMachine", { tags: "b;a" }, { tags: ["a", "b"] }, []],
    ["no tags", "VirtualMachine", { tags: "a;b" }, { tags: [] }, ["delete tags"]],
    [
      "one option of a disk",
      "VirtualMachine",
      { scsi0: disk },
      { "disks.scsi0.discard": true },
      [`scsi0 = ${disk},discard=on`],
    ],
    [
      "a disk's option gone",
      "VirtualMachine",
      { scsi0: disk },
      { "disks.scsi0.cache": undefined },
      ["scsi0 = data:301/vm-301-disk-0.raw,iops_rd=100,size=32G,wwn=0x5000c500a1b2c3d4"],
    ],
    ["a disk's size is a resize", "VirtualMachine", { scsi0: disk }, { "disks.scsi0.size": 64 * GIB }, []],
    ["a disk gone", "VirtualMachine", { scsi0: disk }, { "disks.scsi0": undefined }, ["delete scsi0"]],
    [
      "a new disk",
      "VirtualMachine",
      {},
      {
        "disks.scsi1.storage": "data",
        "disks.scsi1.size": 8 * GIB,
        "disks.scsi1.ssd": true,
        "disks.scsi1.format": "qcow2",
      },
      ["scsi1 = data:8,format=qcow2,ssd=1"],
    ],
    [
      "a new disk of 256 MiB",
      "VirtualMachine",
      {},
      { "disks.virtio0.storage": "data", "disks.virtio0.size": GIB / 4 },
      ["virtio0 = data:0.25"],
    ],
    [
      "a new disk of 1 MiB",
      "VirtualMachine",
      {},
      { "disks.virtio0.storage": "data", "disks.virtio0.size": 2 ** 20 },
      ["virtio0 = data:0.0009765625"],
    ],
    [
      "a network's VLAN, its MAC and trunks kept",
      "VirtualMachine",
      { net0: net },
      { "networks.net0.vlan": 7 },
      [`net0 = ${net},tag=7`],
    ],
    [
      "a network's model, its MAC kept",
      "VirtualMachine",
      { net0: net },
      { "networks.net0.model": "e1000" },
      [`net0 = e1000=BC:24:11:61:98:03,bridge=vmbr0,firewall=1,trunks=3;5`],
    ],
    ["a network's MAC no longer declared", "VirtualMachine", { net0: net }, { "networks.net0.mac": undefined }, []],
    [
      "a network's MAC in other letters",
      "VirtualMachine",
      { net0: "virtio=02:aa:00:00:00:0b,bridge=vmbr0" },
      { "networks.net0.mac": "02:AA:00:00:00:0B" },
      [],
    ],
    [
      "a new network",
      "VirtualMachine",
      {},
      { "networks.net1.bridge": "vmbr0", "networks.net1.linkDown": true },
      ["net1 = virtio,bridge=vmbr0,link_down=1"],
    ],
    ["a network gone", "VirtualMachine", { net0: net }, { "networks.net0": undefined }, ["delete net0"]],
    [
      "cloud-init addresses",
      "VirtualMachine",
      { ipconfig0: "ip=dhcp" },
      { "cloudInit.addresses.net0.ipv4": "10.0.0.5/24", "cloudInit.addresses.net0.gateway": "10.0.0.1" },
      ["ipconfig0 = ip=10.0.0.5/24,gw=10.0.0.1"],
    ],
    [
      "cloud-init addresses gone",
      "VirtualMachine",
      { ipconfig0: "ip=dhcp" },
      { "cloudInit.addresses.net0.ipv4": undefined },
      ["delete ipconfig0"],
    ],
    [
      "SSH keys, URL-encoded once",
      "VirtualMachine",
      {},
      { "cloudInit.sshKeys": ["ssh-ed25519 AAAA+/= me@desk"] },
      ["sshkeys = ssh-ed25519%20AAAA%2B%2F%3D%20me%40desk%0A"],
    ],
    ["a cloud-init drive on ide2", "VirtualMachine", {}, { "cloudInit.storage": "data" }, ["ide2 = data:cloudinit"]],
    [
      "a cloud-init drive beside a CD-ROM",
      "VirtualMachine",
      { ide2: "none,media=cdrom" },
      { "cloudInit.storage": "data" },
      ["ide0 = data:cloudinit"],
    ],
    [
      "a cloud-init drive gone",
      "VirtualMachine",
      { scsi1: "local:385/vm-385-cloudinit.qcow2,media=cdrom" },
      { "cloudInit.storage": undefined },
      ["delete scsi1"],
    ],
    [
      "a cloud-init drive that is there",
      "VirtualMachine",
      { scsi1: "local:385/vm-385-cloudinit.qcow2,media=cdrom" },
      { "cloudInit.storage": "local" },
      [],
    ],
    [
      "a cloud-init drive elsewhere",
      "VirtualMachine",
      { scsi1: "local:385/vm-385-cloudinit.qcow2,media=cdrom" },
      { "cloudInit.storage": "data" },
      ["scsi1 = data:cloudinit"],
    ],
    [
      "extraConfig, as it is",
      "VirtualMachine",
      { ostype: "l26" },
      { "extraConfig.ostype": "win11", "extraConfig.vga": "qxl" },
      ["ostype = win11", "vga = qxl"],
    ],
    [
      "extraConfig that means the same",
      "VirtualMachine",
      { audio0: "device=ich9-intel-hda,driver=spice" },
      { "extraConfig.audio0": "driver=spice,device=ich9-intel-hda" },
      [],
    ],
    ["extraConfig gone", "VirtualMachine", { vga: "qxl" }, { "extraConfig.vga": undefined }, ["delete vga"]],
    [
      "a VM's description, without a marker",
      "VirtualMachine",
      { description: "old" },
      { description: "new\nlines\n" },
      ["description = new\nlines"],
    ],
    [
      "a VM's description gone",
      "VirtualMachine",
      { description: "old" },
      { description: undefined },
      ["delete description"],
    ],
    [
      "a container's description, with the marker",
      "Container",
      {},
      { description: "new" },
      [`description = new\n<!-- proxmoor.dev/id: ${ID} -->`],
    ],
    [
      "a container's description gone, not the marker",
      "Container",
      { description: `old\n<!-- proxmoor.dev/id: ${ID} -->\n` },
      { description: undefined },
      [`description = <!-- proxmoor.dev/id: ${ID} -->`],
    ],
    [
      "a container's memory back to the default",
      "Container",
      { memory: "2048", swap: "0" },
      { memory: undefined, swap: undefined },
      ["memory = 512", "swap = 512"],
    ],
    [
      "a container's new network",
      "Container",
      {},
      { "networks.net2.bridge": "vmbr0", "networks.net2.ipv4": "dhcp" },
      ["net2 = bridge=vmbr0,ip=dhcp,name=eth2"],
    ],
    [
      "a container's address, its MAC kept",
      "Container",
      { net0: "name=eth0,bridge=vmbr0,hwaddr=02:00:00:00:06:42,type=veth" },
      { "networks.net0.ipv4": "10.0.0.2/24" },
      ["net0 = name=eth0,bridge=vmbr0,hwaddr=02:00:00:00:06:42,type=veth,ip=10.0.0.2/24"],
    ],
    [
      "features",
      "Container",
      { features: "mount=nfs;cifs,nesting=1" },
      { "features.keyctl": true, "features.nesting": undefined },
      ["features = mount=nfs;cifs,keyctl=1"],
    ],
    [
      "features gone",
      "Container",
      { features: "nesting=1" },
      { "features.nesting": undefined },
      ["features = nesting=0"],
    ],
    ["no feature where none is", "Container", {}, { "features.nesting": false }, []],
    [
      "a mount",
      "Container",
      {},
      { "mounts.mp0.storage": "data", "mounts.mp0.size": GIB, "mounts.mp0.path": "/srv", "mounts.mp0.backup": true },
      ["mp0 = data:1,mp=/srv,backup=1"],
    ],
    [
      "a bind mount",
      "Container",
      {},
      { "mounts.mp0.source": "/srv/x", "mounts.mp0.path": "/x" },
      ["mp0 = /srv/x,mp=/x"],
    ],
    [
      "a mount gone",
      "Container",
      { mp0: "data:600/vm-600-disk-1.raw,mp=/srv,size=1G" },
      { "mounts.mp0": undefined },
      ["delete mp0"],
    ],
    [
      "the root disk's option",
      "Container",
      { rootfs: "data:600/vm-600-disk-0.raw,acl=1,size=1G" },
      { "rootfs.replicate": false },
      ["rootfs = data:600/vm-600-disk-0.raw,acl=1,size=1G,replicate=0"],
    ],
  ];
  for (const [what, kind, config, changes, expected] of cases) {
    it(`${kind === "Container" ? "ct" : "vm"}: ${what}`, () => {
      expect(sent(kind, config, changes)).to.deep.equal(expected);
    });
  }

  it("refuses to move a volume", () => {
    expect(() => sent("VirtualMachine", { scsi0: disk }, { "disks.scsi0.storage": "other" })).to.throw(
      "scsi0 has the volume data:301/vm-301-disk-0.raw; changing its storage would move it",
    );
  });

  it("refuses a field that it does not know", () => {
    expect(() => sent("VirtualMachine", {}, { "disks.scsi0.colour": "red" })).to.throw(
      "no PVE setting is known for the field disks.scsi0.colour of a VirtualMachine",
    );
  });
});

describe("encoding the identity", () => {
  it("keeps the uuid of smbios1 whatever else is declared of it", () => {
    const config = { smbios1: `uuid=${ID},serial=old` };
    const set = (to?: string) =>
      encode({ kind: "VirtualMachine", config, changes: [{ path: "extraConfig.smbios1", to }], identity: ID }).set;
    expect(set("serial=new")).to.deep.equal({ smbios1: `serial=new,uuid=${ID}` });
    expect(set("serial=new,uuid=22222222-0000-4000-8000-000000000002")).to.deep.equal(set("serial=new"));
    expect(set("serial=old")).to.deep.equal({});
    expect(set(undefined)).to.deep.equal({ smbios1: `uuid=${ID}` });
  });

  it("gives a fresh clone its uuid in smbios1, keeps the other options, and drops the marker", () => {
    const config = { smbios1: "base64=1,manufacturer=Q29uZg==,uuid=c218453b-ea7c-4957-ad74-cb671a66e162", ...CT };
    expect(encode({ kind: "VirtualMachine", config, changes: [], identity: ID })).to.deep.equal({
      set: { smbios1: `base64=1,manufacturer=Q29uZg==,uuid=${ID}` },
      remove: ["description"],
    });
  });

  it("gives an adopted container its marker below what people wrote", () => {
    const { set } = encode({ kind: "Container", config: { description: "theirs\n" }, changes: [], identity: ID });
    expect(set).to.deep.equal({ description: `theirs\n<!-- proxmoor.dev/id: ${ID} -->` });
  });

  it("replaces a marker that a copy brought along", () => {
    const config = { description: "<!-- proxmoor.dev/id: 22222222-0000-4000-8000-000000000002 -->\n" };
    const { set } = encode({ kind: "Container", config, changes: [], identity: ID });
    expect(set).to.deep.equal({ description: `<!-- proxmoor.dev/id: ${ID} -->` });
  });
});

describe("encoding what is there already", () => {
  for (const { name, kind, config } of fixture<RecordedConfig[]>("configs.json")) {
    it(`${name}: sends nothing`, () => {
      const raw = rawOf(config);
      const { fields, identities } = decode(kind, raw);
      const identity = identities[0] ?? ID;
      const changes = Object.entries(fields)
        .filter(([path]) => path !== "description" && path !== "cloudInit.storage" && path !== "unprivileged")
        .map(([path, to]) => ({ path, to }));
      const { set, remove } = encode({ kind, config: raw.config, changes, identity });
      const own = kind === "Container" ? ["description"] : raw.config["smbios1"] === undefined ? ["smbios1"] : [];
      // " " is how PVE reads emptied tags; sent back they are deleted
      const tags = raw.config["tags"] === " " ? ["tags"] : [];
      expect({ set: Object.keys(set), remove }).to.deep.equal({ set: own, remove: tags });
    });
  }
});
