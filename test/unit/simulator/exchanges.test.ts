import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { createSimulator, type Simulator } from "../../../src/simulator/index.js";
import { send } from "./wire.js";

interface Exchange {
  readonly name: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly as: "main" | "limited" | "auditor" | "badtoken" | "none";
    readonly params?: Record<string, string | number>;
    readonly headers?: Record<string, string>;
    readonly body?: string;
  };
  readonly status: number;
  readonly reason: string;
  readonly type: string | null;
  readonly body: unknown;
}

/** The log-ins that the exchanges were recorded with; they exist in the conformance profile only. */
const TOKENS: Readonly<Record<Exchange["request"]["as"], string | undefined>> = {
  main: "ops@pve!main=10000000-0000-4000-8000-000000000001",
  limited: "limited@pve!main=10000000-0000-4000-8000-000000000002",
  auditor: "auditor@pve!main=10000000-0000-4000-8000-000000000003",
  badtoken: "ops@pve!main=10000000-0000-4000-8000-00000000000f",
  none: undefined,
};

const exchanges = JSON.parse(await readFile("test/fixtures/simulator/exchanges.json", "utf8")) as Exchange[];

/** PVE's lists come in no order. */
const sorted = (body: unknown): unknown => {
  const { data } = body as { data?: unknown };
  const text = (one: unknown) => JSON.stringify(Object.entries(one ?? {}).sort());
  const byText = (a: unknown, b: unknown) => (text(a) < text(b) ? -1 : 1);
  return Array.isArray(data) ? { ...(body as object), data: [...(data as unknown[])].sort(byText) } : body;
};

describe("simulator: exchanges recorded from PVE 9.2", () => {
  let simulator: Simulator;
  before(async () => {
    simulator = await createSimulator({ profile: "conformance", authDelay: 0 });
  });
  after(() => simulator.stop());

  for (const { name, request, ...recorded } of exchanges)
    it(name, async () => {
      const token = TOKENS[request.as];
      const { as: _as, ...rest } = request;
      const answer = await send(simulator, { ...rest, ...(token !== undefined && { token }) });
      const body: unknown = typeof recorded.body === "string" ? answer.text : sorted(JSON.parse(answer.text));
      const got = { status: answer.status, reason: answer.reason, type: answer.type ?? null, body };
      expect(got).to.deep.equal({
        ...recorded,
        body: typeof recorded.body === "string" ? recorded.body : sorted(recorded.body),
      });
    });
});
