import { assertNever } from "../model/assert-never.js";
import type { Step } from "../plan/types.js";

/** The type of the PVE task a step starts (BEHAVIOUR section 4); `configure` for the synchronous PUT. */
export function taskTypeOf(step: Step): string {
  const prefix = step.target.kind === "VirtualMachine" ? "qm" : "vz";
  switch (step.op) {
    case "create":
    case "clone":
    case "start":
    case "stop":
    case "shutdown":
    case "reboot":
    case "migrate":
    case "destroy":
      return `${prefix}${step.op}`;
    case "resize":
    case "configure":
      return step.op;
    default:
      return assertNever(step);
  }
}

const OPS = [
  "create",
  "clone",
  "configure",
  "resize",
  "start",
  "shutdown",
  "stop",
  "reboot",
  "migrate",
  "destroy",
] as const;

/** The step behind a row of the tasks table. */
export function opOf(type: string): Step["op"] | undefined {
  const bare = type.replace(/^(qm|vz)/, "");
  return OPS.find((op) => op === bare);
}
