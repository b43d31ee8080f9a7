import { expect } from "chai";

import { decode } from "../../../src/pve/codec/decode.js";
import { rawConfig } from "../../../src/pve/guest.js";
import type { Kind } from "../../../src/model/ref.js";
import { expectGolden, fixture, rawOf } from "./support.js";
import type { RecordedConfig } from "./support.js";

function printed(name: string, kind: Kind, raw: ReturnType<typeof rawOf>): string {
  const { fields, pendingFields, identities } = decode(kind, raw);
  return [
    name,
    ...Object.entries(fields)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, value]) => `  ${path} = ${JSON.stringify(value)}`),
    ...identities.map((identity) => `  identity ${identity}`),
    ...(pendingFields.length === 0 ? [] : [`  pending: ${pendingFields.join(", ")}`]),
    "",
  ].join("\n");
}

describe("decoding recorded configurations", () => {
  it("gives the manifests' fields of every recorded creation", () => {
    const recorded = fixture<RecordedConfig[]>("configs.json").filter(({ name }) => /^(qemu|lxc)create\//.test(name));
    expectGolden(
      "decoded.txt",
      recorded.map(({ name, kind, config }) => printed(name, kind, rawOf(config))).join("\n"),
    );
  });

  it("merges what is pending, and names the fields that wait", () => {
    const recorded = fixture<{ name: string; kind: Kind; data: unknown }[]>("pending.json");
    expectGolden(
      "pending.txt",
      recorded.map(({ name, kind, data }) => printed(name, kind, rawConfig(data, "/pending"))).join("\n"),
    );
  });

  it("never shows passwords, digests and what PVE keeps for itself", () => {
    const config = {
      cipassword: "**********",
      digest: "d",
      meta: "creation-qemu=10",
      vmgenid: "x",
      unused0: "data:1/vm-1-disk-9.raw",
      lock: "backup",
      parent: "a",
      snaptime: 1,
      template: 1,
    };
    expect(decode("VirtualMachine", rawOf(config)).fields).to.deep.equal({});
  });

  it("leaves a value that it can't read to extraConfig", () => {
    const { fields } = decode("VirtualMachine", rawOf({ cores: "many", sshkeys: "%zz" }));
    expect(fields).to.deep.equal({ "extraConfig.cores": "many", "extraConfig.sshkeys": "%zz" });
  });

  it("reads a privileged container's missing key as unprivileged: false", () => {
    expect(decode("Container", rawOf({ memory: 16 })).fields).to.deep.equal({
      memory: 16 * 2 ** 20,
      unprivileged: false,
    });
  });

  it("gives a bind mount its source", () => {
    expect(decode("Container", rawOf({ unprivileged: 1, mp0: "/srv/data,mp=/data,ro=1" })).fields).to.deep.equal({
      unprivileged: true,
      "mounts.mp0.path": "/data",
      "mounts.mp0.readOnly": true,
      "mounts.mp0.source": "/srv/data",
    });
  });

  it("finds both identities of a fresh clone, smbios first, and strips the marker", () => {
    const description = "hello\n<!-- proxmoor.dev/id: AAAAAAAA-0000-4000-8000-00000000000A -->\n";
    const smbios1 = "base64=1,manufacturer=Q29uZg==,uuid=C218453B-ea7c-4957-ad74-cb671a66e162";
    const decoded = decode("VirtualMachine", rawOf({ description, smbios1 }));
    expect(decoded.fields).to.deep.equal({
      description: "hello",
      "extraConfig.smbios1": "base64=1,manufacturer=Q29uZg==",
    });
    expect(decoded.identities).to.deep.equal([
      "c218453b-ea7c-4957-ad74-cb671a66e162",
      "aaaaaaaa-0000-4000-8000-00000000000a",
    ]);
  });
});
