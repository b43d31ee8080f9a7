import { assertNever } from "../model/assert-never.js";
import { refKey, type Kind } from "../model/ref.js";
import { defaultOf } from "./rules.js";
import { formatValue } from "./format.js";
import { isShrink } from "./steps.js";
import type { Change, FieldDiff, Disruption, Plan, PlanSummary } from "./types.js";

const INDENT = " ";

/** The lines of one change, in the form of a unified diff: `-` live, `+` desired, ` ` remarks. */
function renderChange(change: Change): string[] {
  const key = refKey(change.ref);
  const place =
    change.vmid === undefined ? "" : ` (vmid ${change.vmid}${change.node === undefined ? "" : ` on ${change.node}`})`;
  const [live, desired] = headers(change);
  const lines = [
    `--- ${live ? `${key} ${change.fingerprint === "absent" ? "gone" : "live"}${place}` : "/dev/null"}`,
    `+++ ${desired ? `${key} desired${live ? "" : place}` : "/dev/null"}`,
    `@@ ${change.action} @@`,
  ];
  if (change.reason !== undefined) lines.push(`! ${change.reason}`);
  if (change.remedy !== undefined) lines.push(`! ${change.remedy}`);
  const isNew = !live;
  for (const diff of change.fields) lines.push(...renderField(diff, { kind: change.ref.kind, isNew }));
  if (change.power) lines.push(`-power: ${change.power.from}`, `+power: ${change.power.to}`);
  else if (change.action === "create")
    lines.push(`+power: ${change.steps.some((step) => step.op === "start") ? "running" : "stopped"}`);
  for (const note of change.notes) lines.push(`${INDENT}# ${note}`);
  return lines;
}

function headers({ action, fingerprint, desired }: Change): [live: boolean, desired: boolean] {
  switch (action) {
    case "create":
      return [false, true];
    case "delete":
      return [true, false];
    case "blocked":
    case "keep":
      return [fingerprint !== "absent", desired !== undefined];
    case "update":
    case "replace":
    case "adopt":
      return [true, true];
    default:
      return assertNever(action);
  }
}

function renderField(diff: FieldDiff, { kind, isNew }: { kind: Kind; isNew: boolean }): string[] {
  const lines: string[] = [];
  if (diff.from !== undefined) lines.push(`-${diff.path}: ${formatValue(diff.path, diff.from)}`);
  const effect = isNew ? "" : `  # ${isShrink(diff) ? "not possible" : diff.effect}`;
  if (diff.to !== undefined) lines.push(`+${diff.path}: ${formatValue(diff.path, diff.to)}${effect}`);
  else lines[0] = `${lines[0] ?? `-${diff.path}`}  # ${goes(kind, diff.path)}, ${diff.effect}`;
  return lines;
}

function goes(kind: Kind, path: string): string {
  if (/^(disks|mounts)\.[a-z]+\d+$/.test(path)) return "detached";
  if (/^networks\.net\d+$/.test(path)) return "removed";
  const value = defaultOf(kind, path);
  return `back to PVE's default${value === undefined || value === "" ? "" : ` (${formatValue(path, value)})`}`;
}

/** The last line: `3 to create, 2 to change (1 restarts), 0 to delete, 40 unchanged`. */
export function renderSummary(summary: PlanSummary): string {
  const restarts = summary.restarts > 0 ? ` (${summary.restarts} restarts)` : "";
  const parts = [`${summary.create} to create`, `${summary.update} to change${restarts}`];
  if (summary.replace > 0) parts.push(`${summary.replace} to replace`);
  parts.push(`${summary.delete} to delete`);
  if (summary.adopt > 0) parts.push(`${summary.adopt} to adopt`);
  parts.push(`${summary.unchanged} unchanged`);
  if (summary.blocked > 0) parts.push(`${summary.blocked} blocked`);
  return parts.join(", ");
}

function formatDisruption({ text, isAllowed }: Disruption): string {
  return `  ! ${text}${isAllowed === true ? ", allowed by lifecycle.restart" : ""}`;
}

/** The whole plan for a person, without colour; one blank line between objects. */
export function renderPlan(plan: Plan): string {
  const lines: string[] = [];
  for (const change of plan.changes) {
    if (change.action === "keep" && change.notes.length === 0) continue;
    lines.push(...renderChange(change), "");
  }
  const disruptions = plan.changes.flatMap((change) => change.disruptions);
  if (disruptions.length > 0) lines.push("Disruptions:", ...disruptions.map(formatDisruption), "");
  for (const warning of plan.warnings) lines.push(`Warning: ${warning}`);
  lines.push(renderSummary(plan.summary));
  return `${lines.join("\n")}\n`;
}

/** The plan for programs. The form is versioned: fields are added, never renamed, within `v1`. */
export function planToJson(plan: Plan): object {
  // through text, since YAML and comparisons would show what is undefined
  return JSON.parse(JSON.stringify(planRecord(plan))) as object;
}

function planRecord(plan: Plan): object {
  return {
    apiVersion: "proxmoor.dev/plan/v1",
    summary: plan.summary,
    warnings: plan.warnings,
    changes: plan.changes.map((change) => ({
      ref: refKey(change.ref),
      kind: change.ref.kind,
      name: change.ref.name,
      action: change.action,
      vmid: change.vmid,
      node: change.node,
      fields: change.fields,
      power: change.power,
      steps: change.steps.map((step) => step.op),
      disruptions: change.disruptions,
      after: change.after,
      reason: change.reason,
      remedy: change.remedy,
      notes: change.notes,
      fingerprint: change.fingerprint,
    })),
  };
}
