import { guardPlan, hasChanges } from "../../plan/guards.js";
import { planToJson, renderPlan } from "../../plan/render.js";
import type { Plan } from "../../plan/types.js";
import { openSession, type GlobalOptions } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { lookAndPlan, policyOf, type PlanOptions } from "../look.js";
import { readInput, type ManifestOptions } from "../manifest-input.js";
import { toJson, toYaml } from "../output/json.js";
import { colourDiff, styleFor } from "../output/style.js";

export interface DiffOptions extends GlobalOptions, ManifestOptions, PlanOptions {
  readonly output?: string;
}

/** `proxmoor diff`: 0 nothing to change, 1 differences, 2 (thrown) errors. */
export async function diff(options: DiffOptions, io: Io): Promise<CommandResult> {
  const input = await readInput(options, io);
  const session = await openSession(options, io);
  try {
    const policy = policyOf(options, session, input.covers);
    const { plan } = await lookAndPlan(session, input.desired, { policy, signal: io.signal });
    printPlan(plan, options.output, io);
    guardPlan(plan, policy);
    return { exitCode: hasChanges(plan) ? 1 : 0 };
  } finally {
    await session.close();
  }
}

/** The plan in the form asked for: text with colour on a terminal, or json, yaml. */
export function printPlan(plan: Plan, output: string | undefined, io: Io): void {
  if (output === "json") io.out(`${toJson(planToJson(plan))}\n`);
  else if (output === "yaml") io.out(toYaml(planToJson(plan)));
  else {
    if (!hasChanges(plan)) io.out("Nothing to change.\n");
    io.out(colourDiff(renderPlan(plan), styleFor(io.isTerminal.stdout, io.env)));
  }
}
