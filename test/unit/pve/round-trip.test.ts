import { expect } from "chai";
import fc from "fast-check";

import type { Kind } from "../../../src/model/ref.js";
import { decode } from "../../../src/pve/codec/decode.js";
import { encode } from "../../../src/pve/codec/encode.js";
import { PropertyString } from "../../../src/pve/codec/property-string.js";
import { sameRaw } from "../../../src/pve/codec/same-raw.js";
import { formatDiskSize, formatGib, parseDiskSize } from "../../../src/pve/codec/values.js";
import { containerFields, size, vmFields } from "./arbitraries.js";
import type { World } from "./arbitraries.js";

const ID = "11111111-0000-4000-8000-000000000001";
const MIB = 2 ** 20;

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const anything: World = {
  storage: word,
  bridge: word,
  formats: ["raw", "qcow2"],
  features: ["nesting", "keyctl", "fuse", "mknod"],
  privileged: true,
  bindMounts: true,
};
const vm = vmFields(anything);
const container = containerFields(anything);

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
          // a feature that is off is not sent: PVE has it off, and lets only root say so
          const sent = Object.entries(wanted).filter(([path, to]) => !(path.startsWith("features.") && to === false));
          expect(decoded.fields).to.deep.equal(Object.fromEntries(sent));
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
