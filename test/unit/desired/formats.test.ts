import { isIPv4 as nodeIPv4, isIPv6 as nodeIPv6 } from "node:net";
import { expect } from "chai";
import fc from "fast-check";
import { FORMATS, isIPv4, isIPv6 } from "../../../src/desired/formats.js";
import type { FormatName, TextFormat } from "../../../src/desired/formats.js";

function accepts(name: FormatName, text: string): boolean {
  const { pattern, check }: TextFormat = FORMATS[name];
  return (pattern === undefined || new RegExp(pattern, "u").test(text)) && (check?.(text) ?? true);
}

const CASES: Partial<Record<FormatName, { yes: string[]; no: string[] }>> = {
  "dns-name": {
    yes: ["a", "web-01", "WEB.Example.ORG", "1", "a--b", "10.0.0.1"],
    no: ["", "-a", "a-", "web.", ".a", "a..b", "a_b", "ü", "a b", "a\n"],
  },
  storage: { yes: ["nas", "local-lvm", "a1", "A.b_c"], no: ["a", "1nas", "nas-", "no pe", "nas:x"] },
  mac: {
    yes: ["BC:24:11:00:00:0A", "bc:24:11:00:00:0a"],
    no: ["01:00:5E:00:00:01", "BC-24-11-00-00-0A", "BC:24:11:00:00", "BC:24:11:00:00:0G"],
  },
  tag: { yes: ["a", "A", "_x", "1.2", "a+b-c"], no: ["", "-a", ".a", "a;b", "a,b", "a b", "grün", "a!"] },
  "ipv4-config": {
    yes: ["dhcp", "manual", "10.0.0.5/24", "10.0.0.5/8", "10.0.0.5/32"],
    no: ["auto", "10.0.0.5", "10.0.0.5/7", "10.0.0.5/33", "10.0.0.256/24", "10.0.0.0.1/24", "fd00::1/64"],
  },
  "ipv6-config": {
    yes: ["auto", "dhcp", "manual", "fd00::5/64", "::/8", "::1/128"],
    no: ["fd00::5", "fd00::5/7", "fd00::5/129", "10.0.0.5/24", "fd00::5::1/64"],
  },
  "search-domain": { yes: ["a", "a.example b.example"], no: ["", "what ever!", "a  b", " a"] },
  serial: { yes: ["A-1", "x".repeat(20)], no: ["", "a b", "x".repeat(21), "a%20b", "a,b"] },
  "ssh-key": {
    yes: [
      "ssh-ed25519 AAAAC3Nz me@desk",
      "ssh-rsa AAAAB3Nz==",
      "ecdsa-sha2-nistp256 AAAAE2Vj",
      "sk-ssh-ed25519@openssh.com AAAAGnNr x",
      'from="10.0.0.0/8" ssh-ed25519 AAAAC3Nz me',
      "ssh-ed25519 AAAAC3Nz me@desk\n",
    ],
    no: [
      "",
      "ssh-ed25519",
      "AAAAC3Nz",
      "ssh-ed25519 AAAAC3Nz a\nssh-ed25519 AAAAC3Nz b",
      "-----BEGIN PRIVATE KEY-----",
    ],
  },
  "volume-id": { yes: ["local:vztmpl/x.tar.zst", "nas:1"], no: ["debian-12", "local:", ":x", "l:x", "local:a b"] },
  "absolute-path": { yes: ["/", "/srv/data", "/a..b"], no: ["", "srv", "/a/../b", "/a,b", "/a\nb"] },
  "label-value": { yes: ["", "a", "v1.10", "x".repeat(63)], no: ["-a", "a-", "a b", "x".repeat(64)] },
  "field-path": {
    yes: ["spec.memory", "spec.disks.scsi0.size"],
    no: ["spec", "spec.", "memory", "spec..a", "spec.a b"],
  },
  ref: { yes: ["vm/a", "ct/a", "VirtualMachine/a", "lxc/a"], no: ["a", "vm/", "/a", "pod/a", "vm a"] },
  template: { yes: ["debian-12", "9000"], no: ["", "local:x", "a_b"] },
  "cpu-type": { yes: ["host", "x86-64-v2-AES", "custom-mine", "Opteron_G5"], no: ["", "host,flags=+aes", "a b"] },
};

describe("formats", () => {
  for (const [name, { yes, no }] of Object.entries(CASES)) {
    it(name, () => {
      const right = [...yes, ...no].filter((text) => accepts(name as FormatName, text));
      expect(right).to.deep.equal(yes);
    });
  }

  it("what a format suggests, it accepts", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(FORMATS)), fc.string(), (name, text) => {
        const format: TextFormat = FORMATS[name as FormatName];
        const meant = format.suggest?.(text);
        return meant === undefined || accepts(name as FormatName, meant);
      }),
    );
  });

  it("addresses are those of node:net, without zones", () => {
    const near = fc.array(fc.constantFrom("::", ":", ".", "0", "1", "255", "ffff", "fe80", "10.0.0.1", "g"), {
      maxLength: 16,
    });
    const texts = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string(),
      near.map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        fc.pre(!text.includes("%"));
        expect([isIPv4(text), isIPv6(text)], text).to.deep.equal([nodeIPv4(text), nodeIPv6(text)]);
      }),
      { numRuns: 3000 },
    );
  });
});
