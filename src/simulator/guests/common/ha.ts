import type { Call } from "../../call.js";
import type { Document, Guest, GuestKind, State } from "../../state/model.js";
import { splitList } from "../../table/check.js";
import type { TaskLog, Work } from "../../tasks/runner.js";

/** Milliseconds until manager and agent have come round to a request. */
const ROUND_MS = 10_000;

function resource(state: State, kind: GuestKind, vmid: number): Document | undefined {
  const found = state.documents["ha-resources"]?.[`${kind === "qemu" ? "vm" : "ct"}:${vmid}`];
  return typeof found === "object" && !Array.isArray(found) ? found : undefined;
}

/** What HA is asked to keep a guest in; undefined when it does not manage it. */
export function haState(state: State, { kind, vmid }: Pick<Guest, "kind" | "vmid">): string | undefined {
  const found = resource(state, kind, vmid);
  return found === undefined ? undefined : String(found["state"] ?? "started");
}

/** `ha` of a guest's status. */
export function haStatus(state: State, guest: Guest): Record<string, unknown> {
  const asked = haState(state, guest);
  return asked === undefined ? { managed: 0 } : { managed: 1, state: asked };
}

interface Power {
  readonly kind: GuestKind;
  readonly type: string;
  readonly wants: "started" | "stopped";
}

/**
 * A task that starts or stops a guest. For one that HA manages it only notes the request; HA's own task, of
 * root@pam, does the work some seconds later. [BEHAVIOUR section 6]
 */
export function powerTask(call: Call, { kind, type, wants }: Power, work: (log: TaskLog) => Work): string {
  const { world, node, vmid } = call;
  const asked = haState(world.state, { kind, vmid });
  if (asked === undefined || asked === "ignored") return call.task(type, vmid, work);
  const [verb, haType] = wants === "started" ? (["start", "hastart"] as const) : (["stop", "hastop"] as const);
  return call.task(haType, vmid, function* (log) {
    log.line(`Requesting HA ${verb} for ${kind === "qemu" ? "VM" : "CT"} ${vmid}`);
    yield 0;
    const found = resource(world.state, kind, vmid);
    if (found !== undefined) found["state"] = wants;
    world.changed();
    world.after(ROUND_MS, () => {
      world.tasks.start({ node, type, id: String(vmid), user: "root@pam", work: (own) => byAgent(own, work) });
    });
  });
}

function* byAgent(log: TaskLog, work: (log: TaskLog) => Work): Work {
  log.line("task started by HA resource agent");
  yield* work(log);
}

/** A resource that is managed no more leaves its rules; a rule without any goes. */
export function leaveHaRules(state: State, sid: string): void {
  const rules = state.documents["ha-rules"] ?? {};
  for (const [name, rule] of Object.entries(rules)) {
    const all = splitList(String(rule["resources"] ?? ""));
    const left = all.filter((one) => one !== sid);
    if (left.length === 0) delete rules[name];
    else if (left.length < all.length) rule["resources"] = left.join(",");
  }
}
