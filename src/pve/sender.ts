import type { StepRequest, StepSender, TraceHint } from "../apply/types.js";
import { messageOf, ProxmoorError } from "../model/errors.js";
import type { ObservedGuest, Sight } from "../observed/types.js";
import type { Step, StepTarget } from "../plan/types.js";
import type { TaskReader, Upid } from "../tasks/types.js";
import type { PveClient } from "./client.js";
import { decode } from "./codec/decode.js";
import { meaningOf } from "./error-texts.js";
import { guestSummary, rawConfig } from "./guest.js";
import { masked, requestOf } from "./requests.js";
import { traceTask } from "./trace.js";
import { guestPath, needed, numberOf, record, records, textOf } from "./wire.js";

type Place = Omit<StepTarget, "identity">;

/** Sends steps to PVE (src/apply/types.ts). */
export class PveSender implements StepSender {
  constructor(
    private readonly client: PveClient,
    private readonly tasks: TaskReader,
  ) {}

  async send(step: Step, base: ObservedGuest | undefined, signal?: AbortSignal): Promise<{ upid?: Upid }> {
    const request = requestOf(step, base);
    if (request === undefined) return {};
    const data = await this.client.write(request.method, request.path, request.params, signal);
    return typeof data === "string" && data.startsWith("UPID:") ? { upid: data } : {};
  }

  describe(step: Step, base: ObservedGuest | undefined): StepRequest {
    // what a guest that is not there yet will be sent depends on what it will hold
    const unknown = step.op === "configure" && base === undefined;
    const request = unknown ? undefined : requestOf(step, base);
    return request === undefined
      ? { method: "PUT", path: `${guestPath(step.target)}/config`, params: {} }
      : masked(request);
  }

  trace(hint: TraceHint, known: ReadonlySet<Upid>, signal?: AbortSignal): Promise<Upid | undefined> {
    return traceTask(this.tasks, hint, known, signal);
  }

  explain(exit: string, subject: string): ProxmoorError {
    const { code, retry, remedy } = meaningOf(500, exit);
    if (code !== "PVE_ERROR") return new ProxmoorError(code, exit, { subject, retry, remedy });
    const log = `The end of the task's log: proxmoor describe ${subject}.`;
    return new ProxmoorError("PVE_TASK_FAILED", exit, { subject, retry, remedy: remedy ?? log });
  }

  /** Configuration and status. A guest that is not on its node is looked for on the others before it is called absent. */
  async look(at: Place, signal?: AbortSignal): Promise<Sight> {
    try {
      return { at: "present", guest: await this.read(at, signal) };
    } catch (error) {
      if (!isAbsence(error)) return unreadable(at, error, signal);
    }
    try {
      const moved = await this.find(at.vmid, signal);
      if (moved === undefined || (moved.node === at.node && moved.kind === at.kind)) return { at: "absent" };
      return { at: "present", guest: await this.read(moved, signal) };
    } catch (error) {
      return unreadable(at, error, signal);
    }
  }

  private async read(at: Place, signal: AbortSignal | undefined): Promise<ObservedGuest> {
    const path = guestPath(at);
    const [pending, current] = await Promise.all([
      this.client.get(`${path}/pending`, {}, { signal }),
      this.client.get(`${path}/status/current`, {}, { signal }),
    ]);
    const raw = rawConfig(pending, `${path}/pending`);
    const summary = guestSummary(at.kind, at.node, { vmid: at.vmid, ...record(current, path) });
    if (summary === undefined) throw new ProxmoorError("PVE_ANSWER", `PVE's answer to ${path} names no vmid`);
    return { ...summary, ...raw, ...decode(at.kind, raw) };
  }

  private async find(vmid: number, signal: AbortSignal | undefined): Promise<Place | undefined> {
    const path = "/cluster/resources";
    const rows = records(await this.client.get(path, { type: "vm" }, { signal }), path);
    // a row of a type that nobody knows yet is no guest
    const guests = rows.filter(({ type }) => type === undefined || type === "qemu" || type === "lxc");
    const row = guests.find((candidate) => needed(numberOf(candidate["vmid"]), "vmid", path) === vmid);
    if (row === undefined) return undefined;
    const node = needed(textOf(row["node"]), "node", path);
    return { kind: row["type"] === "lxc" ? "Container" : "VirtualMachine", vmid, node };
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof ProxmoorError && error.code === "PVE_NOT_FOUND" && error.facts["what"] === "guest";
}

/** Silence is not absence; what concerns the whole connection (log-in, certificate) and aborts are thrown. */
function unreadable(at: Place, error: unknown, signal: AbortSignal | undefined): Sight {
  const fatal = ["PVE_AUTH", "PVE_TLS", "CONFIG_INVALID"];
  if (signal?.aborted === true || !(error instanceof ProxmoorError) || fatal.includes(error.code)) throw error;
  return { at: "unreadable", node: at.node, reason: messageOf(error) };
}
