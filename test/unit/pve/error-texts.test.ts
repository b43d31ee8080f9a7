import { expect } from "chai";

import type { ProxmoorError } from "../../../src/model/errors.js";
import { dataOf } from "../../../src/pve/answer.js";
import { meaningOf, percentOf } from "../../../src/pve/error-texts.js";
import { expectGolden, fixture } from "./support.js";

interface RecordedError {
  readonly name: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly status: number;
  readonly reason: string;
  readonly body: string;
}

function told({ method, path, status, reason, body }: Omit<RecordedError, "name">): string {
  try {
    dataOf(
      { status, reason, body, contentType: "" },
      { request: { method, path }, host: "pve", redact: (text) => text },
    );
    return "no error";
  } catch (error) {
    const { code, retry, subject, message, facts } = error as ProxmoorError;
    return `${code} ${retry}${facts["what"] === undefined ? "" : ` (${String(facts["what"])})`} ${subject ?? ""}: ${message}`;
  }
}

describe("PVE's errors", () => {
  it("reach the user word for word, with a code: every recorded one", () => {
    const recorded = fixture<RecordedError[]>("errors.json");
    expectGolden("errors.txt", recorded.map((one) => `${one.name}: ${told(one)}\n`).join(""));
  });

  const unrecorded: [number, string, string, string][] = [
    [500, "VM is locked (backup)", "PVE_LOCKED", "later"],
    [500, "CT is locked (snapshot-delete)", "PVE_LOCKED", "later"],
    [500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", "PVE_LOCKED", "later"],
    [500, "cfs-lock 'storage-nfs' error: got lock request timeout", "PVE_LOCKED", "later"],
    [500, "cluster not ready - no quorum?", "PVE_ERROR", "later"],
    [500, "VM 100 qmp command 'query-status' failed - got timeout", "PVE_ERROR", "later"],
    [595, "No route to host", "PVE_NODE_OFFLINE", "later"],
    [500, "only root can set 'args' config", "PVE_PERMISSION", "never"],
    [501, "for data too large", "PVE_PARAMETER", "never"],
    [500, "", "PVE_ERROR", "never"],
  ];
  for (const [status, text, code, retry] of unrecorded) {
    it(`${status} ${text || "(no text)"}: ${code}, ${retry}`, () => {
      expect(meaningOf(status, text)).to.include({ code, retry });
    });
  }

  it("that may have been done are told apart for reads and writes", () => {
    const answer = { path: "/nodes/pve2/qemu/100/config", status: 596, reason: "Connection timed out", body: "" };
    expect([told({ ...answer, method: "GET" }), told({ ...answer, method: "PUT" })]).to.deep.equal([
      "PVE_NODE_OFFLINE later pve2/qemu/100: pve2/qemu/100 does not answer: 596 Connection timed out",
      "PVE_NO_ANSWER later pve2/qemu/100: no answer came through: 596 Connection timed out",
    ]);
  });
});

describe("progress in PVE's task logs", () => {
  const lines: [string, number | undefined][] = [
    ["transferred 1.0 GiB of 8.0 GiB (12.34%)", 12.34],
    ["drive-scsi0: transferred 1.0 GiB of 1.0 GiB (100.00%) in 1m 5s, ready", 100],
    ["INFO:  12% (1.0 GiB of 8.0 GiB) in 6s, read: 170.7 MiB/s, write: 100.0 MiB/s", 12],
    ["create full clone of drive scsi0 (data:480/vm-480-disk-0.qcow2)", undefined],
    ["TASK OK", undefined],
  ];
  for (const [line, percent] of lines) it(line, () => expect(percentOf(line)).to.equal(percent));
});
