import { expect } from "chai";
import { describeStore, NOW } from "../support/database.js";
import { observedState } from "../support/observed.js";
import { recordedGuests } from "../support/recorded.js";

describeStore("Configurations that PVE answered with", (database) => {
  it("are stored whole, change nothing when they are seen again, and are in history as they were", async () => {
    const store = await (await database()).open();
    const guests = recordedGuests();
    const sent = guests.map(({ vmid, config }) => ({ vmid, config }));
    const first = await store.state.sync(observedState({ takenAt: NOW, guests }));
    expect(first.created).equal(guests.length + 1);

    const kept = [...(await store.state.vms()), ...(await store.state.containers())];
    const stored = kept.map(({ id, config }) => ({ vmid: id, config })).sort((a, b) => a.vmid - b.vmid);
    expect(stored).deep.equal(sent);

    // PVE gives the keys of a configuration in any order.
    const shuffled = guests.map((guest) => {
      return { ...guest, config: Object.fromEntries(Object.entries(guest.config).reverse()) };
    });
    const again = await store.state.sync(observedState({ takenAt: NOW + 1, guests: shuffled }));
    expect(again).deep.equal({ created: 0, updated: 0, deleted: 0, unchanged: guests.length + 1 });

    await store.state.sync(observedState({ takenAt: NOW + 2, guests: [] }));
    const past = await store.history.at(NOW + 1);
    const then = [...past.vms, ...past.containers].map(({ id, config }) => ({ vmid: id, config }));
    expect(then.sort((a, b) => a.vmid - b.vmid)).deep.equal(sent);
  });
});
