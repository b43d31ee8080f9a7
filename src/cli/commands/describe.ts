import { ProxmoorError } from "../../model/errors.js";
import { parseRef, refKey } from "../../model/ref.js";
import { formatValue } from "../../plan/format.js";
import type { Resource } from "../../plan/types.js";
import { openSession, type GlobalOptions, type Session } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { look } from "../look.js";
import { toJson, toYaml } from "../output/json.js";
import { formatDuration, formatTable } from "../output/table.js";

export interface DescribeOptions extends GlobalOptions {
  readonly output?: string;
  readonly cached?: boolean;
}

/** `proxmoor describe vm/NAME`: everything known of one guest on one page. */
export async function describe(name: string, options: DescribeOptions, io: Io): Promise<CommandResult> {
  const ref = parseRef(name);
  if (!ref) throw new ProxmoorError("USAGE", `"${name}" names no guest`, { remedy: "Write vm/NAME or ct/NAME." });
  const session = await openSession(options, io);
  try {
    if (options.cached !== true) await look(session, io.signal);
    const resource = await session.store.resources.find(ref);
    const guests =
      ref.kind === "VirtualMachine" ? await session.store.state.vms() : await session.store.state.containers();
    const guest = guests.find((one) => (resource ? one.id === resource.vmid : one.name === ref.name));
    if (!guest && !resource)
      throw new ProxmoorError("NOT_FOUND", `there is no ${refKey(ref)}`, {
        remedy: "`proxmoor get vms` and `proxmoor get containers` list what there is.",
      });
    const tasks = await session.store.tasks.list({ ref: refKey(ref), limit: 10 });
    const events = await session.store.events.list({ ref: refKey(ref), limit: 10 });
    const whole = { ref: refKey(ref), resource, guest, tasks, events };
    if (options.output === "json") io.out(`${toJson(whole)}\n`);
    else if (options.output === "yaml") io.out(toYaml(JSON.parse(toJson(whole))));
    else io.out(page(whole, session));
    return { exitCode: 0 };
  } finally {
    await session.close();
  }
}

type Whole = {
  readonly ref: string;
  readonly resource: Resource | undefined;
  readonly guest:
    | Awaited<ReturnType<Session["store"]["state"]["vms"]>>[number]
    | Awaited<ReturnType<Session["store"]["state"]["containers"]>>[number]
    | undefined;
  readonly tasks: Awaited<ReturnType<Session["store"]["tasks"]["list"]>>;
  readonly events: Awaited<ReturnType<Session["store"]["events"]["list"]>>;
};

function page({ ref, resource, guest, tasks, events }: Whole, session: Session): string {
  const now = session.clock.now();
  const since = (time: number | undefined) => (time === undefined ? "" : `${formatDuration(now - time)} ago`);
  const lines = [`Name:      ${ref}`];
  lines.push(
    `Managed:   ${resource ? `yes, ${resource.phase}, generation ${resource.generation} (applied ${resource.observedGeneration})` : "no: Proxmoor did not make it and has not adopted it"}`,
  );
  if (guest)
    lines.push(
      `VMID:      ${guest.id}`,
      `Node:      ${guest.nodeId}`,
      `Status:    ${guest.template ? "template" : guest.status}`,
      `Seen:      ${since(guest.lastSeen)}`,
    );
  if (resource)
    lines.push(`Identity:  ${resource.identity}`, `Source:    ${resource.source}`, `Prune:     ${resource.prune}`);
  if (guest && guest.tags.length > 0) lines.push(`Tags:      ${guest.tags.join(", ")}`);
  let text = `${lines.join("\n")}\n`;
  if (resource && resource.conditions.length > 0)
    text += `\nConditions:\n${formatTable(
      ["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"],
      resource.conditions.map((one) => [one.type, one.status, one.reason, since(one.lastTransition), one.message]),
    )}`;
  if (resource)
    text += `\nLast applied:\n${Object.entries(resource.lastApplied)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, value]) => `  ${path}: ${formatValue(path, value)}\n`)
      .join("")}`;
  if (guest?.config)
    text += `\nConfiguration in PVE:\n${Object.entries(guest.config)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `  ${key}: ${value.trimEnd().replaceAll("\n", "\n    ")}\n`)
      .join("")}`;
  const pending = Object.entries(guest?.pending ?? {});
  if (pending.length > 0)
    text += `\nWaits for the next start:\n${pending.map(([key, value]) => `  ${key}: ${value ?? "(removed)"}\n`).join("")}`;
  if (tasks.length > 0)
    text += `\nTasks:\n${formatTable(
      ["ID", "TYPE", "STATUS", "STARTED", "EXIT"],
      tasks.map((one) => [String(one.id), one.type, one.status, since(one.startTime), one.exitStatus ?? ""]),
    )}`;
  for (const { id, log } of tasks)
    if (log.length > 0)
      text += `\nLog of task ${id}:\n${log
        .slice(-10)
        .map((line) => `  ${line}\n`)
        .join("")}`;
  if (events.length > 0)
    text += `\nEvents:\n${formatTable(
      ["LAST", "TYPE", "REASON", "COUNT", "MESSAGE"],
      events.map((one) => [since(one.time), one.type, one.reason, String(one.count ?? 1), one.message]),
    )}`;
  return text;
}
