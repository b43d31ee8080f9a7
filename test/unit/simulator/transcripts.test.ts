import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { createSimulator, ManualClock, type SimulatorProfile } from "../../../src/simulator/index.js";
import { play } from "../../support/transcript.js";

// Each file: calls and what PVE answers to them, as test/support/transcript.ts writes and reads them, on a new cluster:
// the recorded one-node one, or the one of the file's line `# profile: NAME`. UPDATE_GOLDEN=1 rewrites the answers.
const GOLDEN = join(import.meta.dirname, "../../../../test/golden/simulator");

describe("calls and their answers (test/golden/simulator)", () => {
  for (const name of readdirSync(GOLDEN).sort())
    it(name.replace(/\.txt$/, "").replaceAll("-", " "), async () => {
      const file = join(GOLDEN, name);
      const script = readFileSync(file, "utf8");
      const profile = (/^# profile: (\w+)$/m.exec(script)?.[1] ?? "conformance") as SimulatorProfile;
      const clock = new ManualClock(Date.UTC(2026, 0, 5));
      const simulator = await createSimulator({ profile, clock, speed: 1, taskDuration: () => 1000, listen: false });
      try {
        const actual = await play(script, simulator, clock);
        if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, actual);
        expect(actual).to.equal(readFileSync(file, "utf8"));
        expect(actual).not.to.match(/(?<!hwversion=)undefined|\[object|NaN/);
      } finally {
        await simulator.stop();
      }
    });
});
