import { expect } from "chai";
import { checkParams, type Params } from "../../../src/simulator/table/check.js";
import type { Properties } from "../../../src/simulator/table/table.js";

const SHAPE: Properties = {
  vmid: { type: "integer", format: "pve-vmid", min: 100, max: 999_999_999 },
  cores: { type: "integer", min: 1, optional: true },
  cpulimit: { type: "number", min: 0, max: 128, optional: true },
  onboot: { type: "boolean", optional: true },
  ostype: { type: "string", enum: ["l26", "other"], optional: true },
  name: { type: "string", format: "dns-name", optional: true },
  digest: { type: "string", maxLength: 4, optional: true },
  archive: { type: "string", optional: true },
  force: { type: "boolean", optional: true, needs: "archive" },
  rootfs: { type: "string", format: "=rootfs", optional: true },
};

/** `parameter: complaint`, one a line. */
const complaints = (params: Params): string[] =>
  Object.entries(checkParams(params, SHAPE)).map(([name, text]) => `${name}: ${text}`);

describe("simulator: parameter checks", () => {
  it("let pass what fits", () => {
    expect(
      complaints({
        vmid: "100",
        cores: "4",
        cpulimit: "0.5",
        onboot: "1",
        ostype: "l26",
        name: "web-1",
        archive: "x",
        force: "0",
        rootfs: "local-lvm:8,acl=1",
      }),
    ).to.deep.equal([]);
  });

  const refused: readonly (readonly [Params, readonly string[]])[] = [
    [{}, ["vmid: property is missing and it is not optional"]],
    [{ vmid: "99" }, ["vmid: invalid format - value does not look like a valid VM ID\n"]],
    [{ vmid: "abc" }, ["vmid: type check ('integer') failed - got 'abc'"]],
    [{ vmid: "100", cores: "0" }, ["cores: value must have a minimum value of 1"]],
    [{ vmid: "100", cores: "1.5" }, ["cores: type check ('integer') failed - got '1.5'"]],
    [{ vmid: "100", cpulimit: "129" }, ["cpulimit: value must have a maximum value of 128"]],
    [{ vmid: "100", onboot: "maybe" }, ["onboot: type check ('boolean') failed - got 'maybe'"]],
    [{ vmid: "100", ostype: "dos" }, ["ostype: value 'dos' does not have a value in the enumeration 'l26, other'"]],
    [{ vmid: "100", name: "under_score" }, ["name: invalid format - value does not look like a valid DNS name\n"]],
    [{ vmid: "100", digest: "12345" }, ["digest: value may only be 4 characters long"]],
    [{ vmid: "100", force: "1" }, ["archive: missing property required by 'force'"]],
    [
      { vmid: "100", foo: "1" },
      ["foo: property is not defined in schema and the schema does not allow additional properties"],
    ],
    [
      { vmid: "100", cores: "x", ostype: "dos" },
      [
        "cores: type check ('integer') failed - got 'x'",
        "ostype: value 'dos' does not have a value in the enumeration 'l26, other'",
      ],
    ],
  ];
  for (const [params, texts] of refused)
    it(`refuse ${JSON.stringify(params)}`, () => {
      expect(complaints(params)).to.deep.equal(texts);
    });

  it("look into property strings, each option under its own name", () => {
    const texts = complaints({ vmid: "100", rootfs: "local-lvm:8,acl=maybe,colour=red" }).join("\n");
    expect(texts).to.contain("rootfs").and.to.contain("acl").and.to.contain("colour");
  });
});
