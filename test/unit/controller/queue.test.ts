import { expect } from "chai";
import fc from "fast-check";
import { WorkQueue } from "../../../src/controller/queue.js";

/** A queue on a clock of its own, with chance in the middle. */
function queueAt(clock = { time: 0, chance: 0.5 }) {
  const queue = new WorkQueue({ now: () => clock.time, random: () => clock.chance }, { first: 1000, longest: 60_000 });
  return { queue, clock };
}

const KEYS = ["vm/a", "vm/b", "ct/c"];
type Op =
  | { readonly do: "add"; readonly key: string; readonly fresh: boolean; readonly priority: number }
  | { readonly do: "take" | "done" | "failed" }
  | { readonly do: "pass"; readonly ms: number };

const OPS: fc.Arbitrary<Op[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("add" as const),
      key: fc.constantFrom(...KEYS),
      fresh: fc.boolean(),
      priority: fc.integer({ min: 0, max: 2 }),
    }),
    fc.record({ do: fc.constantFrom("take" as const, "done" as const, "failed" as const) }),
    fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: 0, max: 5000 }) }),
  ),
  { maxLength: 60 },
);

describe("the work queue", () => {
  it("never hands a key out twice at once, and loses none that was wanted", () => {
    fc.assert(
      fc.property(OPS, (ops) => {
        const { queue, clock } = queueAt();
        const working: string[] = [];
        // wanted and not worked on since
        const owed = new Set<string>();
        for (const op of ops) {
          if (op.do === "add") {
            queue.add(op.key, { priority: op.priority, fresh: op.fresh });
            owed.add(op.key);
          } else if (op.do === "pass") clock.time += op.ms;
          else if (op.do === "take") {
            const key = queue.take();
            if (key === undefined) continue;
            expect(working).to.not.include(key);
            working.push(key);
            owed.delete(key);
          } else {
            const key = working.shift();
            if (key === undefined) continue;
            if (op.do === "failed") {
              queue.failed(key);
              owed.add(key);
            } else queue.done(key);
          }
        }
        for (const key of working) queue.done(key);
        clock.time += 120_000;
        const left = new Set<string>();
        for (let key = queue.take(); key !== undefined; key = queue.take()) {
          expect(left.has(key)).to.equal(false);
          left.add(key);
        }
        expect([...left].sort()).to.deep.equal([...owed].sort());
      }),
    );
  });

  it("waits longer after each failure, up to the longest, with half of it random", () => {
    const delays = (chance: number) => {
      const { queue, clock } = queueAt({ time: 0, chance });
      queue.add("vm/a");
      return Array.from({ length: 9 }, () => {
        clock.time += 100_000;
        expect(queue.take()).to.equal("vm/a");
        return queue.failed("vm/a");
      });
    };
    expect(delays(0)).to.deep.equal([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    expect(delays(1)).to.deep.equal([1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]);
  });

  it("forgets failures for a fresh desire and after success, not for what the poll found", () => {
    const { queue, clock } = queueAt();
    const failAt = (ms: number) => {
      clock.time = ms;
      return queue.take() === undefined ? "not due" : queue.failed("vm/a");
    };
    queue.add("vm/a");
    expect([failAt(0), failAt(10_000), failAt(20_000)]).to.deep.equal([750, 1500, 3000]);
    queue.add("vm/a");
    expect(failAt(20_001)).to.equal("not due");
    queue.add("vm/a", { fresh: true });
    expect(failAt(20_002)).to.equal(750);
    clock.time = 40_000;
    queue.take();
    queue.done("vm/a");
    queue.add("vm/a");
    expect(failAt(40_000)).to.equal(750);
  });

  it("hands out new desires before drift, and the longest due among equals", () => {
    const { queue, clock } = queueAt();
    for (const key of ["vm/drift-1", "vm/drift-2"]) {
      queue.add(key, { priority: 1 });
      clock.time++;
    }
    queue.add("vm/new", { priority: 0 });
    queue.add("vm/drift-2", { priority: 1 });
    expect([queue.take(), queue.take(), queue.take(), queue.take()]).to.deep.equal([
      "vm/new",
      "vm/drift-1",
      "vm/drift-2",
      undefined,
    ]);
  });

  it("gives a key back that was wanted while it was worked on", () => {
    const { queue } = queueAt();
    queue.add("vm/a");
    queue.take();
    queue.add("vm/a");
    expect([queue.take(), queue.depth, queue.working]).to.deep.equal([undefined, 0, 1]);
    queue.done("vm/a");
    expect([queue.take(), queue.working]).to.deep.equal(["vm/a", 1]);
  });

  it("wakes whoever waits when something is added, and forgets those whose time is up", async () => {
    const { queue } = queueAt();
    const waits: number[] = [];
    const never = (ms: number, signal: AbortSignal) => {
      waits.push(ms);
      return new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    };
    const waiting = Promise.all([queue.change(never, 500), queue.change(never, 500)]);
    queue.add("vm/a");
    await waiting;
    await queue.change((ms) => Promise.resolve(void waits.push(ms)), 500);
    expect(waits).to.deep.equal([500, 500, 0]);
  });

  it("takes nothing in once it is closed", () => {
    const { queue } = queueAt();
    queue.add("vm/a");
    queue.take();
    queue.close();
    queue.add("vm/b");
    queue.failed("vm/a");
    expect([queue.take(), queue.depth]).to.deep.equal([undefined, 0]);
  });
});
