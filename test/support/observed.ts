import type { GuestSummary, ObservedGuest, ObservedState, RawConfig } from "../../src/observed/types.js";

/** One look at a cluster, made of what the test cares about. */
export function observedState(state: {
  takenAt: number;
  nodes?: ObservedState["nodes"];
  storages?: ObservedState["storages"];
  summaries?: readonly GuestSummary[];
  sights?: ObservedState["sights"];
  /** Guests whose configuration was read. */
  guests?: readonly ObservedGuest[];
  complete?: boolean;
}): ObservedState {
  const present = (state.guests ?? []).map((guest) => [guest.vmid, { at: "present", guest }] as const);
  return {
    takenAt: state.takenAt,
    nodes: state.nodes ?? [{ name: "pve1", status: "online" }],
    storages: state.storages ?? [],
    summaries: new Map((state.summaries ?? []).map((guest) => [guest.vmid, guest])),
    sights: new Map([...present, ...(state.sights ?? [])]),
    complete: state.complete ?? true,
  };
}

export function summary(vmid: number, changes: Partial<GuestSummary> = {}): GuestSummary {
  return {
    kind: "VirtualMachine",
    vmid,
    node: "pve1",
    name: `guest-${vmid}`,
    status: "running",
    template: false,
    tags: [],
    ...changes,
  };
}

/** A guest whose configuration was read; its config is what is given. */
export function guest(vmid: number, config: RawConfig["config"], changes: Partial<ObservedGuest> = {}): ObservedGuest {
  return {
    ...summary(vmid),
    config,
    pending: {},
    digest: `digest-${JSON.stringify(config).length}`,
    fields: {},
    pendingFields: [],
    identities: [],
    ...changes,
  };
}
