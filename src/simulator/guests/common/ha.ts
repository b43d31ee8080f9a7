import type { Call } from "../../call.js";
import { fail } from "../../fault.js";
import type { Document, Guest, GuestKind, State } from "../../state/model.js";
import { splitList } from "../../table/check.js";
import type { TaskLog, Work } from "../../tasks/runner.js";

type Named = Pick<Guest, "kind" | "vmid">;

/** `vm:100`, `ct:200`. */
export const sidOf = ({ kind, vmid }: Named): string => `${kind === "qemu" ? "vm" : "ct"}:${vmid}`;

function resource(state: State, guest: Named): Document | undefined {
  return state.documents["ha-resources"]?.[sidOf(guest)];
}

/** What HA is asked to keep a guest in; undefined when it does not manage it. */
export function wantedState(state: State, guest: Named): string | undefined {
  const found = resource(state, guest);
  return found === undefined ? undefined : String(found["state"] ?? "started");
}

/** Calls of a managed guest go by way of HA; an ignored one counts as unmanaged. */
export function isManaged(state: State, guest: Named): boolean {
  const asked = wantedState(state, guest);
  return asked !== undefined && asked !== "ignored";
}

/** The manager's own state of a guest; undefined before its first round. */
export function crmState(state: State, guest: Named): string | undefined {
  const found = state.documents["ha-status"]?.[sidOf(guest)]?.["state"];
  return typeof found === "string" ? found : undefined;
}

/** `hastate` of lists: the manager's state, before it knows the guest what is asked for. */
export function haState(state: State, guest: Named): string | undefined {
  const asked = wantedState(state, guest);
  return asked === undefined ? undefined : (crmState(state, guest) ?? asked);
}

/** `ha` of a guest's status. */
export function haStatus(state: State, guest: Guest): Record<string, unknown> {
  if (wantedState(state, guest) === undefined) return { managed: 0 };
  return { managed: 1, state: crmState(state, guest) ?? null };
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
  const { world, vmid } = call;
  const guest = { kind, vmid };
  if (!isManaged(world.state, guest)) return call.task(type, vmid, work);
  const [verb, haType] = wants === "started" ? (["start", "hastart"] as const) : (["stop", "hastop"] as const);
  return call.task(haType, vmid, function* (log) {
    log.line(`Requesting HA ${verb} for ${kind === "qemu" ? "VM" : "CT"} ${vmid}`);
    yield 0;
    if (crmState(world.state, guest) === "error") {
      log.line(`service '${sidOf(guest)}' in error state, must be disabled and fixed first`);
      fail(`command 'ha-manager set ${sidOf(guest)} --state ${wants}' failed: exit code 255`);
    }
    const found = resource(world.state, guest);
    if (found !== undefined) found["state"] = wants;
    world.haRequests.set(sidOf(guest), { node: call.node, type, work });
    world.changed();
  });
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
