import { expect } from "chai";

import { ProxmoorError } from "../../../src/model/errors.js";
import { followTask } from "../../../src/tasks/follow.js";
import type { FollowOptions } from "../../../src/tasks/follow.js";
import type { TaskLogLine, TaskReader, TaskState } from "../../../src/tasks/types.js";

const UPID = "UPID:pve1:000225C3:00096750:6B05059C:qmclone:480:ops@pve!main:";
const RUNNING: TaskState = { running: true };
const unreachable = new ProxmoorError("PVE_UNREACHABLE", "gone for a while", { retry: "later" });

/** One look after the other: a state or an error, and the lines that the log has grown by then. */
type Look = { readonly state: TaskState | Error; readonly lines?: readonly string[] | Error };

/** Plays the looks; what happened is told line by line. */
async function follow(looks: readonly Look[], options: Partial<FollowOptions> = {}): Promise<string[]> {
  const told: string[] = [];
  const log: TaskLogLine[] = [];
  let look = -1;
  const reader: TaskReader = {
    state: async () => {
      look += 1;
      const { state, lines } = looks[look] ?? { state: new Error("the test has no further look") };
      for (const text of lines instanceof Error ? [] : (lines ?? [])) {
        const percent = /\((\d+)%\)/.exec(text)?.[1];
        log.push({ n: log.length + 1, text, ...(percent === undefined ? {} : { percent: Number(percent) }) });
      }
      if (state instanceof Error) throw state;
      return state;
    },
    log: async (_, after) => {
      const { lines } = looks[look] ?? {};
      if (lines instanceof Error) throw lines;
      return log.slice(after, after + 500);
    },
    list: async () => [],
  };
  try {
    const end = await followTask(reader, UPID, {
      sleep: async (ms) => void told.push(`wait ${ms}`),
      onLog: (lines) => void told.push(...lines.map(({ n, text }) => `${n} ${text}`)),
      onProgress: (percent) => void told.push(`${percent} %`),
      intervals: { first: 100, longest: 300 },
      ...options,
    });
    told.push(
      `${end.ok ? "ok" : "failed"}: ${end.exit}, ${end.warnings} warnings, tail ${JSON.stringify(end.logTail)}`,
    );
  } catch (error) {
    told.push(`threw ${(error as Error).message}`);
  }
  return told;
}

describe("following a task", () => {
  it("looks at growing intervals, up to the longest, until it ends", async () => {
    const states = [RUNNING, RUNNING, RUNNING, RUNNING, { running: false, exit: "OK" } as const];
    expect(await follow(states.map((state) => ({ state })))).to.deep.equal([
      "wait 100",
      "wait 150",
      "wait 225",
      "wait 300",
      "ok: OK, 0 warnings, tail []",
    ]);
  });

  it("tells each log line once, and each new progress", async () => {
    expect(
      await follow([
        { state: RUNNING, lines: ["create full clone"] },
        { state: RUNNING, lines: ["transferred (10%)", "transferred (20%)"] },
        { state: RUNNING, lines: ["transferred (20%)"] },
        { state: { running: false, exit: "OK" }, lines: ["TASK OK"] },
      ]),
    ).to.deep.equal([
      "1 create full clone",
      "wait 100",
      "2 transferred (10%)",
      "3 transferred (20%)",
      "20 %",
      "wait 150",
      "4 transferred (20%)",
      "wait 225",
      "5 TASK OK",
      'ok: OK, 0 warnings, tail ["create full clone","transferred (10%)","transferred (20%)","transferred (20%)"]',
    ]);
  });

  it("counts warnings as success, anything else as failure", async () => {
    for (const [exit, told] of [
      ["WARNINGS: 2", "ok: WARNINGS: 2, 2 warnings, tail []"],
      ["start failed: exit code 1", "failed: start failed: exit code 1, 0 warnings, tail []"],
      ["unexpected status", "failed: unexpected status, 0 warnings, tail []"],
    ] as const) {
      expect(await follow([{ state: { running: false, exit } }])).to.deep.equal([told]);
    }
  });

  it("keeps the last 50 lines", async () => {
    const lines = [...Array.from({ length: 1200 }, (_, index) => `line ${index + 1}`), "TASK ERROR: no"];
    const told = await follow([{ state: { running: false, exit: "no" }, lines }], { onLog: undefined });
    const tail = JSON.parse((told[0] ?? "").replace(/^.*tail /, "")) as string[];
    expect([tail.length, tail[0], tail.at(-1)]).to.deep.equal([50, "line 1151", "line 1200"]);
  });

  it("survives a PVE that does not answer for a while, and a log that can't be read", async () => {
    expect(
      await follow([
        { state: unreachable },
        { state: unreachable },
        { state: RUNNING, lines: unreachable },
        { state: { running: false, exit: "OK" }, lines: new ProxmoorError("PVE_PERMISSION", "no log for you") },
      ]),
    ).to.deep.equal(["wait 100", "wait 150", "wait 225", "ok: OK, 0 warnings, tail []"]);
  });

  it("ends where PVE no longer knows the task, or won't tell", async () => {
    for (const code of ["PVE_TASK_LOST", "PVE_PERMISSION", "PVE_AUTH"] as const) {
      expect(await follow([{ state: RUNNING }, { state: new ProxmoorError(code, `no: ${code}`) }])).to.deep.equal([
        "wait 100",
        `threw no: ${code}`,
      ]);
    }
  });

  it("ends when it is told to, even while PVE is silent", async () => {
    const abort = new AbortController();
    const sleep = async (): Promise<void> => abort.abort(new Error("enough"));
    expect(await follow([{ state: RUNNING }], { sleep, signal: abort.signal })).to.deep.equal(["threw enough"]);
    const silent = new AbortController();
    const told = await follow([{ state: unreachable }], {
      sleep: async () => silent.abort(new Error("enough")),
      signal: silent.signal,
    });
    expect(told).to.deep.equal(["threw enough"]);
  });
});
