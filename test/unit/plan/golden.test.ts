import { expect } from "chai";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { validateManifests } from "../../../src/desired/index.js";
import { readManifests } from "../../../src/manifests/index.js";
import { messageOf } from "../../../src/model/errors.js";
import { formatFaults } from "../../../src/model/fault.js";
import { refKey } from "../../../src/model/ref.js";
import { guardPlan } from "../../../src/plan/guards.js";
import { planChanges } from "../../../src/plan/plan.js";
import { renderPlan } from "../../../src/plan/render.js";
import type { Plan } from "../../../src/plan/types.js";
import { applyPlan, type SentStep } from "../../support/plan-apply.js";
import { parseCluster, parseInventory } from "../../support/plan-cluster.js";
import { observeModel } from "../../support/plan-model.js";

// Each folder: manifests.yaml, cluster.yaml (what PVE has), inventory.yaml (what Proxmoor knows) in; expected.txt out:
// the printed plan, the requests it leads to, and what a second plan has left. UPDATE_GOLDEN=1 rewrites expected.txt.
const GOLDEN = join(import.meta.dirname, "../../../../test/golden/plan");

describe("manifests and a cluster in, the printed plan out (test/golden/plan)", () => {
  for (const name of readdirSync(GOLDEN).sort())
    it(name.replaceAll("-", " "), async () => {
      const folder = join(GOLDEN, name);
      const actual = await printed(folder);
      const file = join(folder, "expected.txt");
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, actual);
      expect(actual).to.equal(readFileSync(file, "utf8"));
      expect(actual).not.to.match(/undefined|\[object|NaN/);
    });
});

async function printed(folder: string): Promise<string> {
  const text = (file: string) => (existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8") : "");
  const read = await readManifests([join(folder, "manifests.yaml")]);
  const desired = validateManifests(read.documents);
  const faults = [...read.faults, ...desired.faults];
  if (faults.length > 0) return `${formatFaults(faults).replaceAll(`${folder}/`, "")}\n`;
  const cluster = parseCluster(text("cluster.yaml"));
  const { resources, unavailable, policy } = parseInventory(text("inventory.yaml"), desired);
  const plan = async (on: typeof cluster, known: typeof resources) =>
    planChanges({
      desired,
      observed: await observeModel(on, new Map(known.map((one) => [one.vmid, one.node]))),
      inventory: { resources: known, unavailableVmids: unavailable },
      policy,
    });
  const first = await plan(cluster, resources);
  const lines = [renderPlan(first), ...refusal(() => guardPlan(first, policy))];
  const applied = await applyPlan(first, cluster, resources);
  if (applied.sent.length > 0) lines.push("\nRequests:\n", ...applied.sent.map(requestText));
  const second = await plan(applied.cluster, applied.resources);
  lines.push(`\nPlanned again: ${leftOver(second)}\n`);
  return lines.join("");
}

function refusal(guard: () => void): string[] {
  try {
    guard();
    return [];
  } catch (error) {
    return [`\nRefused: ${messageOf(error)}\n`];
  }
}

function requestText({ change, step, request }: SentStep): string {
  const params = Object.entries(request?.params ?? {})
    .filter(([key]) => key !== "digest")
    .map(([key, value]) => `\n    ${key}=${JSON.stringify(value).slice(1, -1)}`);
  const what = request ? `${request.method} ${request.path}` : "nothing to send";
  return `  ${refKey(change.ref)} ${step.op}: ${what}${params.join("")}\n`;
}

function leftOver(plan: Plan): string {
  const left = plan.changes.filter((change) => change.action !== "keep");
  return left.length === 0 ? "nothing to do" : left.map((one) => `${refKey(one.ref)} ${one.action}`).join(", ");
}
