/** What the controller says of a resource, in Kubernetes' form. */
export type ConditionType = "Ready" | "Synced" | "Drifted" | "RestartRequired" | "Blocked";

export interface Condition {
  readonly type: ConditionType;
  readonly status: "True" | "False" | "Unknown";
  /** One CamelCase word for programs. */
  readonly reason: string;
  /** A sentence for people. */
  readonly message: string;
  /** When `status` last changed, UTC milliseconds. */
  readonly lastTransition: number;
  /** The generation of the desired state this was said of. */
  readonly observedGeneration: number;
}

/** Replaces the condition of the same type; `lastTransition` moves only when the status does. */
export function setCondition(conditions: readonly Condition[], next: Condition): Condition[] {
  const before = conditions.find((c) => c.type === next.type);
  const lastTransition = before?.status === next.status ? before.lastTransition : next.lastTransition;
  return [...conditions.filter((c) => c.type !== next.type), { ...next, lastTransition }].sort((a, b) =>
    a.type < b.type ? -1 : 1,
  );
}
