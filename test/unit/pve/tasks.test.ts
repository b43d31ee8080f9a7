import { expect } from "chai";

import { parseUpid, PveTasks } from "../../../src/pve/tasks.js";
import { FakeClient } from "./fake-client.js";

const UPID = "UPID:pve1:000225C3:00096750:6B05059C:qmclone:480:ops@pve!main:";
const PATH = `/nodes/pve1/tasks/${encodeURIComponent(UPID)}`;

describe("PVE's tasks", () => {
  it("are named by UPIDs", () => {
    expect(parseUpid(UPID)).to.deep.equal({
      node: "pve1",
      type: "qmclone",
      id: "480",
      user: "ops@pve!main",
      startTime: 0x6b05059c * 1000,
    });
    expect(parseUpid("UPID:pve1:000225C3:100096750:6B05059C:imgcopy::root@pam:").id).to.equal("");
    for (const text of [
      "",
      "nope",
      UPID.slice(0, -1),
      UPID.replace("UPID", "upid"),
      "UPID:pve1:1:1:1:qmstart:7:a@pve:",
    ]) {
      expect(() => parseUpid(text)).to.throw("is not the id of a PVE task");
    }
  });

  it("are running, or ended with PVE's text", async () => {
    const states = [
      { status: "running" },
      { status: "stopped", exitstatus: "OK" },
      { status: "stopped", exitstatus: "WARNINGS: 2" },
      { status: "stopped" },
    ].map((answer) => new PveTasks(new FakeClient({ [`${PATH}/status`]: answer })).state(UPID));
    expect(await Promise.all(states)).to.deep.equal([
      { running: true },
      { running: false, exit: "OK" },
      { running: false, exit: "WARNINGS: 2" },
      { running: false, exit: "unexpected status" },
    ]);
  });

  it("have logs, read from a line on, with their progress", async () => {
    const client = new FakeClient({
      [`${PATH}/log`]: [
        { n: 3, t: "create full clone of drive scsi0 (data:480/vm-480-disk-0.qcow2)" },
        { n: 4, t: "transferred 512.0 MiB of 1.0 GiB (50.00%)" },
      ],
    });
    expect(await new PveTasks(client).log(UPID, 2)).to.deep.equal([
      { n: 3, text: "create full clone of drive scsi0 (data:480/vm-480-disk-0.qcow2)" },
      { n: 4, text: "transferred 512.0 MiB of 1.0 GiB (50.00%)", percent: 50 },
    ]);
    expect(client.calls).to.deep.equal([`GET ${PATH}/log start=2 & limit=500`]);
  });

  it("without a log have no lines, and those that PVE forgot are lost", async () => {
    const empty = new FakeClient({ [`${PATH}/log`]: [{ n: 1, t: "no content" }] });
    expect(await new PveTasks(empty).log(UPID, 0)).to.deep.equal([]);
    const gone = new FakeClient({ [`${PATH}/log`]: [{ n: 1, t: "unable to open file - No such file or directory" }] });
    const thrown: unknown = await new PveTasks(gone).log(UPID, 0).catch((error: unknown) => error);
    expect(thrown).to.include({ code: "PVE_TASK_LOST" });
  });

  it("are listed alike, running or ended", async () => {
    const client = new FakeClient({
      "/nodes/pve1/tasks": [
        {
          upid: "A",
          node: "pve1",
          type: "qmshutdown",
          id: "750",
          user: "ops@pve!main",
          starttime: 20,
          status: "RUNNING",
        },
        {
          upid: "B",
          node: "pve1",
          type: "qmstop",
          id: "750",
          user: "ops@pve",
          tokenid: "main",
          starttime: 10,
          endtime: 11,
          status: "OK",
        },
      ],
    });
    expect(await new PveTasks(client).list("pve1", { vmid: 750, since: 9_999, type: "qmstop" })).to.deep.equal([
      { upid: "A", node: "pve1", type: "qmshutdown", id: "750", user: "ops@pve!main", startTime: 20_000 },
      {
        upid: "B",
        node: "pve1",
        type: "qmstop",
        id: "750",
        user: "ops@pve!main",
        startTime: 10_000,
        endTime: 11_000,
        exit: "OK",
      },
    ]);
    expect(client.calls).to.deep.equal([
      "GET /nodes/pve1/tasks source=all & limit=500 & vmid=750 & since=9 & typefilter=qmstop",
    ]);
  });
});
