import { expect } from "chai";
import { describeStore } from "../support/database.js";

describeStore("StateStore", (database) => {
  it("starts empty", async () => {
    const { state } = await (await database()).open();
    expect(await state.nodes()).deep.equal([]);
    expect(await state.snapshots()).deep.equal([]);
  });
});
