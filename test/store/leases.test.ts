import { expect } from "chai";
import { describeStore, NOW } from "../support/database.js";

const claim = { name: "leader", ttlMs: 1000 };

describeStore("Leases", (database) => {
  it("gives a lease to one holder, with tokens that only grow", async () => {
    const { leases } = await (await database()).open();
    expect(await leases.holder("leader")).equal(undefined);
    expect(await leases.acquire({ ...claim, holder: "a", now: NOW })).deep.equal({ token: 1 });
    expect(await leases.acquire({ ...claim, holder: "b", now: NOW + 999 })).equal(undefined);
    expect(await leases.holder("leader")).deep.equal({ holder: "a", expiresAt: NOW + 1000 });
    expect(await leases.acquire({ ...claim, holder: "b", now: NOW + 1000 })).deep.equal({ token: 2 });
    expect(await leases.renew({ ...claim, holder: "a", now: NOW + 1000 })).equal(false);
    expect(await leases.renew({ ...claim, holder: "b", now: NOW + 1500 })).equal(true);
    expect(await leases.holder("leader")).deep.equal({ holder: "b", expiresAt: NOW + 2500 });
    await leases.release("leader", "a");
    expect(await leases.holder("leader")).deep.include({ holder: "b" });
    await leases.release("leader", "b");
    expect(await leases.holder("leader")).equal(undefined);
    expect(await leases.renew({ ...claim, holder: "b", now: NOW + 1600 })).equal(false);
    expect(await leases.acquire({ ...claim, holder: "a", now: NOW + 1600 })).deep.equal({ token: 3 });
    expect(await leases.acquire({ ...claim, name: "other", holder: "b", now: NOW })).deep.equal({ token: 1 });
  });

  it("lets one of ten rivals win", async () => {
    const store = await database();
    const open = await Promise.all(Array.from({ length: 5 }, () => store.open()));
    const claims = open.flatMap(({ leases }, program) =>
      ["x", "y"].map((part) => leases.acquire({ ...claim, holder: `${program}${part}`, now: NOW })),
    );
    const won = (await Promise.all(claims)).filter((token) => token !== undefined);
    expect(won).deep.equal([{ token: 1 }]);
  });

  it("stops the writes of a holder that another one took over from", async () => {
    const store = await (await database()).open();
    const { leases } = store;
    const event = (reason: string) => ({ time: NOW, type: "Normal", reason, message: "" }) as const;
    const first = await leases.acquire({ ...claim, holder: "a", now: NOW });
    const a = store.fenced({ name: "leader", token: first?.token ?? 0 });
    await a.events.record(event("ByA"));
    const second = await leases.acquire({ ...claim, holder: "b", now: NOW + 2000 });
    const b = store.fenced({ name: "leader", token: second?.token ?? 0 });
    const error = await a.events.record(event("LateByA")).catch((e: unknown) => e);
    expect(error).deep.include({ code: "DB_FENCED", subject: "leader" });
    expect(String(error)).match(/b has the lease now/);
    expect(await a.transaction(({ nodes }) => nodes.count()).catch((e: unknown) => e)).deep.include({
      code: "DB_FENCED",
    });
    await b.events.record(event("ByB"));
    expect((await a.events.list()).map((one) => one.reason).sort()).deep.equal(["ByA", "ByB"]);
    await leases.release("leader", "b");
    expect(String(await b.events.record(event("LateByB")).catch((e: unknown) => e))).match(/held no more/);
  });
});
