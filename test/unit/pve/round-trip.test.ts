import { expect } from "chai";
import fc from "fast-check";

import type { FieldValue } from "../../../src/desired/types.js";
import type { Kind } from "../../../src/model/ref.js";
import { decode } from "../../../src/pve/codec/decode.js";
import { encode } from "../../../src/pve/codec/encode.js";
import { PropertyString } from "../../../src/pve/codec/property-string.js";
import { sameRaw } from "../../../src/pve/codec/same-raw.js";
import { formatDiskSize, formatGib, parseDiskSize } from "../../../src/pve/codec/values.js";

const ID = "11111111-0000-4000-8000-000000000001";
const MIB = 2 ** 20;
type Fields = Record<string, FieldValue>;

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const bool = fc.boolean();
const mac = fc.stringMatching(/^02(:[0-9A-F]{2}){5}$/);
const size = fc.integer({ min: 1, max: 2 ** 30 }).map((kib) => kib * 1024);
const address = fc.constantFrom("dhcp", "10.0.0.5/24", "192.168.7.1/16");
const key = fc.stringMatching(/^ssh-ed25519 [A-Za-z0-9+/]{20}=? [a-z]+@[a-z]+$/);

/** Any part of the fields below a prefix; those of `required` always. */
function device(
  prefix: string,
  optional: Record<string, fc.Arbitrary<FieldValue>>,
  required: Record<string, fc.Arbitrary<FieldValue>>,
) {
  return fc
    .record({ ...optional, ...required }, { requiredKeys: Object.keys(required) })
    .map((fields) => Object.fromEntries(Object.entries(fields).map(([field, value]) => [`${prefix}.${field}`, value])));
}

function merged(...parts: fc.Arbitrary<Fields>[]): fc.Arbitrary<Fields> {
  return fc.tuple(...parts).map((all) => Object.assign({}, ...all) as Fields);
}

const maybe = (part: fc.Arbitrary<Fields>): fc.Arbitrary<Fields> => fc.oneof(fc.constant<Fields>({}), part);
const words = fc.uniqueArray(word, { minLength: 1, maxLength: 4 }).map((list) => list.sort());
const net = {
  vlan: fc.integer({ min: 1, max: 4094 }),
  firewall: bool,
  rate: fc.constantFrom(0.5, 12, 12.5),
  mtu: fc.integer({ min: 64, max: 9000 }),
  linkDown: bool,
};
const ips = {
  ipv4: address,
  gateway: fc.constant("10.0.0.1"),
  ipv6: fc.constantFrom("auto", "dhcp", "fd00::2/64"),
  gateway6: fc.constant("fd00::1"),
};

const vm = merged(
  fc.record(
    {
      name: word,
      memory: fc.integer({ min: 16, max: 4096 }).map((mib) => mib * MIB),
      agent: bool,
      onBoot: bool,
      tags: words,
      description: fc.constantFrom("one", "one\ntwo, with = and ;", "ü <!-- a comment -->"),
      "cpu.type": fc.constantFrom("host", "x86-64-v2-AES"),
      "cpu.cores": fc.integer({ min: 1, max: 64 }),
      "cpu.sockets": fc.integer({ min: 1, max: 4 }),
      "cpu.limit": fc.constantFrom(0, 1.5, 8),
      "cpu.units": fc.integer({ min: 1, max: 1000 }),
      "cloudInit.user": word,
      "cloudInit.sshKeys": fc.array(key, { minLength: 1, maxLength: 3 }),
      "cloudInit.nameservers": fc.constant(["1.1.1.1", "fd00::53"]),
      "cloudInit.searchDomain": word,
      "cloudInit.upgrade": bool,
      "cloudInit.storage": word,
      "extraConfig.ostype": fc.constant("l26"),
    },
    { requiredKeys: [] },
  ),
  ...["scsi0", "virtio3", "ide2"].map((slot) =>
    maybe(
      device(
        `disks.${slot}`,
        {
          cache: fc.constantFrom("none", "writeback"),
          aio: fc.constant("native"),
          discard: bool,
          ssd: bool,
          iothread: bool,
          backup: bool,
          replicate: bool,
          readOnly: bool,
          serial: word,
        },
        { storage: word, size, format: fc.constantFrom("raw", "qcow2") },
      ),
    ),
  ),
  ...["net0", "net31"].map((slot) =>
    maybe(
      device(
        `networks.${slot}`,
        { ...net, queues: fc.integer({ min: 0, max: 64 }) },
        { bridge: word, mac, model: fc.constantFrom("virtio", "e1000") },
      ),
    ),
  ),
  maybe(device("cloudInit.addresses.net0", ips, { ipv4: address })),
);

const container = merged(
  fc.record(
    {
      hostname: word,
      memory: fc.integer({ min: 16, max: 4096 }).map((mib) => mib * MIB),
      swap: fc.integer({ min: 0, max: 512 }).map((mib) => mib * MIB),
      cores: fc.integer({ min: 1, max: 64 }),
      unprivileged: bool,
      onBoot: bool,
      tags: words,
      description: fc.constantFrom("one", "one\ntwo"),
      nameservers: fc.constant(["10.0.0.1"]),
      searchDomain: word,
      "features.nesting": bool,
      "features.keyctl": bool,
      "features.fuse": bool,
      "features.mknod": bool,
    },
    { requiredKeys: ["unprivileged"] },
  ),
  device("rootfs", { readOnly: bool, replicate: bool }, { storage: word, size }),
  maybe(
    device(
      "mounts.mp0",
      { backup: bool, readOnly: bool, replicate: bool },
      { storage: word, size, path: fc.constant("/srv") },
    ),
  ),
  maybe(device("mounts.mp9", {}, { source: fc.constant("/srv/x"), path: fc.constant("/x") })),
  maybe(device("networks.net1", { ...net, ...ips }, { name: fc.constant("eth7"), bridge: word, mac })),
);

/** What PVE makes of a new volume: `data:0.5,format=qcow2` → `data:7/vm-7-disk-0.qcow2,size=512M` [qemucreate/disks]. */
function allocate(kind: Kind, set: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(set).map(([name, text]) => {
      const volume = PropertyString.parse(text, "file");
      const [, storage, gib] = /^([^:/]+):(\d+(?:\.\d+)?)$/.exec(volume.get("file") ?? "") ?? [];
      if (/^\w+:cloudinit$/.test(text)) return [name, `${text.split(":")[0]}:7/vm-7-cloudinit.qcow2,media=cdrom`];
      if (storage === undefined || !/^(scsi|virtio|ide|rootfs|mp)\d*$/.test(name)) return [name, text];
      const extension = kind === "Container" ? "raw" : (volume.get("format") ?? "raw");
      volume.set("file", `${storage}:7/vm-7-disk-0.${extension}`);
      volume.delete("format");
      volume.set("size", formatDiskSize(Math.round(Number(gib) * 2 ** 30)));
      return [name, volume.toString()];
    }),
  );
}

describe("decode after encode", () => {
  for (const [kind, fields] of [
    ["VirtualMachine", vm],
    ["Container", container],
  ] as const) {
    it(`gives every ${kind} its fields back`, () => {
      fc.assert(
        fc.property(fields, (wanted) => {
          const changes = Object.entries(wanted).map(([path, to]) => ({ path, to }));
          const { set } = encode({ kind, config: {}, changes, identity: ID });
          const decoded = decode(kind, { config: allocate(kind, set), pending: {}, digest: "" });
          expect(decoded.fields).to.deep.equal(wanted);
          expect(decoded.identities).to.deep.equal([ID]);
        }),
        { numRuns: 300 },
      );
    });
  }

  it("reaches any VM's fields from any other's, and is then done", () => {
    fc.assert(
      fc.property(vm, vm, (before, after) => {
        const kind = "VirtualMachine";
        const fresh = encode({
          kind,
          config: {},
          changes: Object.entries(before).map(([path, to]) => ({ path, to })),
          identity: ID,
        });
        const config = allocate(kind, fresh.set);
        const scalars = Object.entries(after).filter(
          ([path]) => !/^(disks|networks|cloudInit\.(addresses|storage))/.test(path),
        );
        const changes = scalars.map(([path, to]) => ({ path, to }));
        const { set } = encode({ kind, config, changes, identity: ID });
        const next = { ...config, ...set };
        const decoded = decode(kind, { config: next, pending: {}, digest: "" }).fields;
        expect(Object.fromEntries(scalars.map(([path]) => [path, decoded[path]]))).to.deep.equal(
          Object.fromEntries(scalars),
        );
        expect(encode({ kind, config: next, changes, identity: ID })).to.deep.equal({ set: {}, remove: [] });
      }),
      { numRuns: 200 },
    );
  });
});

describe("property strings", () => {
  it("are written back as they were read", () => {
    for (const text of [
      "virtio=02:AA:00:00:00:01,bridge=vmbr0",
      "data:1,ssd=1",
      "1,type=isa",
      "enabled=1,type=isa",
      "mount=nfs;cifs,nesting=1",
      "",
    ]) {
      expect(PropertyString.parse(text, "enabled").toString()).to.equal(text);
    }
  });
});

describe("sizes", () => {
  it("survive the way to PVE and back, to the KiB", () => {
    fc.assert(
      fc.property(size, (bytes) => {
        expect(parseDiskSize(formatDiskSize(bytes))).to.equal(bytes);
        expect(Math.round(Number(formatGib(bytes)) * 2 ** 30)).to.equal(bytes);
        expect(formatGib(bytes)).to.match(/^\d+(\.\d+)?$/);
      }),
    );
  });

  it("are PVE's", () => {
    expect(["1G", "1536M", "15408K", "0T", "512", "1.5G", "big", "5GiB", ""].map(parseDiskSize)).to.deep.equal([
      2 ** 30,
      1536 * MIB,
      15408 * 1024,
      0,
      512,
      1536 * MIB,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("sameRaw", () => {
  const cases: [Kind, string, string, string, boolean][] = [
    ["VirtualMachine", "audio0", "device=AC97,driver=spice", "driver=spice,device=AC97", true],
    ["VirtualMachine", "ide2", "local:iso/a.iso,media=cdrom", "local:iso/a.iso,media=cdrom,size=4M", true],
    ["VirtualMachine", "ide2", "file=local:iso/a.iso,media=cdrom", "local:iso/b.iso,media=cdrom", false],
    ["VirtualMachine", "net3", "virtio,bridge=vmbr0", "virtio=BC:24:11:61:98:03,bridge=vmbr0", true],
    ["VirtualMachine", "net3", "virtio=bc:24:11:61:98:03", "model=virtio,macaddr=BC:24:11:61:98:03", true],
    ["VirtualMachine", "net3", "virtio=bc:24:11:61:98:03", "e1000=BC:24:11:61:98:03", false],
    ["VirtualMachine", "cpulimit", "1.50", "1.5", true],
    ["VirtualMachine", "onboot", "1", "yes", false],
    ["VirtualMachine", "agent", "enabled=1,fstrim_cloned_disks=yes", "fstrim_cloned_disks=1,enabled=on", true],
    ["VirtualMachine", "hotplug", "network,disk", "disk,network", true],
    ["VirtualMachine", "hotplug", "network", "disk,network", false],
    ["VirtualMachine", "boot", "order=scsi0;net0", "order=net0;scsi0", false],
    ["VirtualMachine", "boot", " ", "", true],
    ["VirtualMachine", "vga", "qxl,memory=32", "memory=32,type=qxl", true],
    ["VirtualMachine", "ostype", "l26", "win11", false],
    ["Container", "startup", "order=3,up=5", "up=5,order=3", true],
    ["Container", "dev0", "/dev/null,mode=0666", "mode=0666,path=/dev/null", true],
    ["Container", "dev0", "/dev/null,mode=0666", "/dev/null,mode=0660", false],
  ];
  for (const [kind, name, a, b, same] of cases) {
    it(`${name}: ${a} ${same ? "=" : "≠"} ${b}`, () => {
      expect([sameRaw(kind, name, a, b), sameRaw(kind, name, b, a)]).to.deep.equal([same, same]);
    });
  }
});
