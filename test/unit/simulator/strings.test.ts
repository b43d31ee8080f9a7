import { expect } from "chai";
import { joinString, splitString } from "../../../src/simulator/table/strings.js";
import { propertyString, type Properties } from "../../../src/simulator/table/table.js";

const SHAPES: Readonly<Record<string, Properties>> = {
  disk: {
    file: { type: "string", defaultKey: true },
    volume: { alias: "file" },
    size: { type: "string", optional: true },
    ssd: { type: "boolean", optional: true },
    cache: { type: "string", optional: true },
  },
  net: {
    model: { type: "string", defaultKey: true },
    macaddr: { type: "string", optional: true },
    virtio: { alias: "macaddr", keyAlias: "model" },
    e1000: { alias: "macaddr", keyAlias: "model" },
    bridge: { type: "string", optional: true },
    firewall: { type: "boolean", optional: true },
  },
  startup: { order: { type: "integer", optional: true }, up: { type: "integer", optional: true } },
};

const parsed = (shape: string, text: string): unknown => splitString(text, SHAPES[shape] ?? {});
const printed = (shape: string, text: string): string =>
  joinString(splitString(text, SHAPES[shape] ?? {}), SHAPES[shape] ?? {});

describe("simulator: property strings", () => {
  it("are taken apart by option", () => {
    expect(parsed("disk", "data:vm-1-disk-0,size=4G,ssd=on")).to.deep.equal({
      file: "data:vm-1-disk-0",
      size: "4G",
      ssd: "1",
    });
    expect(parsed("disk", "size=4G,volume=data:1")).to.deep.equal({ size: "4G", file: "data:1" });
    expect(parsed("net", "virtio=AA:BB:CC:00:00:01,bridge=vmbr0")).to.deep.equal({
      model: "virtio",
      macaddr: "AA:BB:CC:00:00:01",
      bridge: "vmbr0",
    });
    expect(parsed("startup", "order=1, ,up=5")).to.deep.equal({ order: "1", up: "5" });
  });

  it("are refused in PVE's words", () => {
    const faults = (
      [
        ["disk", "data:1,data:2"],
        ["disk", "data:1,size=1G,size=2G"],
        ["disk", "data:1,size="],
        ["startup", "first"],
        ["net", "virtio=AA:BB:CC:00:00:01,e1000=AA:BB:CC:00:00:02"],
      ] as const
    ).map(([shape, text]) => {
      try {
        return JSON.stringify(parsed(shape, text));
      } catch (error) {
        return String(error).replace(/^\w+: /, "");
      }
    });
    expect(faults).to.deep.equal([
      "duplicate key in comma-separated list property: file",
      "duplicate key in comma-separated list property: size",
      "missing key in comma-separated list property",
      "value without key, but schema does not define a default key",
      "key alias 'model' is already defined",
    ]);
  });

  it("are printed with the default key first and bare, then what is required, then by name", () => {
    expect(printed("disk", "ssd=yes,size=4G,cache=none,file=data:1")).to.equal("data:1,cache=none,size=4G,ssd=1");
    expect(printed("net", "firewall=0,bridge=vmbr0,e1000=AA:BB:CC:00:00:01")).to.equal(
      "e1000=AA:BB:CC:00:00:01,bridge=vmbr0,firewall=0",
    );
    expect(printed("net", "bridge=vmbr0,model=virtio")).to.equal("virtio,bridge=vmbr0");
  });

  it("come back as they were, for the table's own formats", () => {
    const { rootfs = {}, vga = {} } = { rootfs: propertyString("rootfs"), vga: propertyString("vga") };
    const again = (text: string, shape: Properties) => joinString(splitString(text, shape), shape);
    expect(again("local-lvm:vm-200-disk-0,acl=1,size=2G", rootfs)).to.equal("local-lvm:vm-200-disk-0,acl=1,size=2G");
    expect(again("memory=32,std", vga)).to.equal("std,memory=32");
  });
});
