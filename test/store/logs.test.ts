import { expect } from "chai";
import { describeStore, NOW } from "../support/database.js";

const event = { time: NOW, type: "Normal", reason: "Started", message: "started", ref: "vm/web" } as const;

describeStore("EventLog", (database) => {
  it("counts what repeats within an hour", async () => {
    const { events } = await (await database()).open();
    const hour = 3_600_000;
    await events.record(event);
    await events.record({ ...event, time: NOW + hour });
    await events.record({ ...event, time: NOW + hour + 1, count: 5 });
    await events.record({ ...event, time: NOW + 3 * hour });
    await events.record({ ...event, type: "Warning" });
    await events.record({ time: NOW, type: "Warning", reason: "NodeOffline", message: "pve2 is offline" });
    await events.record({ time: NOW + 1, type: "Warning", reason: "NodeOffline", message: "pve2 is offline" });
    expect(
      (await events.list()).map((row) => `${row.ref ?? "-"} ${row.reason} ${row.time - NOW} x${row.count}`),
    ).deep.equal([
      `vm/web Started ${3 * hour} x1`,
      `vm/web Started ${hour + 1} x7`,
      "- NodeOffline 1 x2",
      "vm/web Started 0 x1",
    ]);
    expect((await events.list({ ref: "vm/web", limit: 1 }))[0]).deep.equal({
      ...event,
      id: 2,
      time: NOW + 3 * hour,
      count: 1,
    });
  });
});

describeStore("RevisionStore", (database) => {
  it("keeps a revision where the manifests changed", async () => {
    const { revisions } = await (await database()).open();
    const first = { source: "manifests", digest: "aa", guests: [{ name: "web" }], recordedAt: NOW };
    expect(await revisions.latest("manifests")).equal(undefined);
    expect(await revisions.record(first)).deep.equal({ ...first, id: 1 });
    expect(await revisions.record({ ...first, recordedAt: NOW + 1 })).deep.equal({ ...first, id: 1 });
    const second = { ...first, digest: "bb", commit: "0123abc", recordedAt: NOW + 2 };
    expect(await revisions.record(second)).deep.equal({ ...second, id: 2 });
    expect((await revisions.record(first)).id).equal(3);
    expect(await revisions.latest("manifests")).deep.equal({ ...first, id: 3 });
  });
});
