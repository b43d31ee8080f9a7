import type { Token } from "../state/model.js";
import type { World } from "../world.js";
import type { FaultEffect } from "./rules.js";
import type { SkewedClock } from "./skewed-clock.js";

/** The end of tokens that a fault has ended, UTC seconds: long ago, and nobody else's. */
export const EXPIRED = 1;

type Of<K extends string> = Extract<FaultEffect, Record<K, unknown>>;

/** An effect that changes the cluster rather than a single answer. */
export type Condition = Of<"offline"> | Of<"down"> | Of<"storage"> | Of<"permission"> | Of<"expire"> | Of<"skew">;

export function isCondition(effect: FaultEffect): effect is Condition {
  return ["offline", "down", "storage", "permission", "expire", "skew"].some((kind) => kind in effect);
}

/** What is the matter with the cluster right now, and how it is put right again. */
export class Conditions {
  private readonly lasting = new Set<() => void>();
  private downs = 0;
  private expired = 0;
  /** When tokens end once they are good again. */
  private readonly expires = new Map<Token, number>();
  private readonly onDown = new Set<() => void>();

  constructor(
    private readonly world: World,
    private readonly clock: SkewedClock,
  ) {}

  /** Nothing listens at present. */
  get isDown(): boolean {
    return this.downs > 0;
  }

  /** Tells the server when to break its connections. */
  whenDown(action: () => void): void {
    this.onDown.add(action);
  }

  begin(effect: Condition): void {
    const { end, ms } = this.start(effect);
    const once = (): void => {
      if (!this.lasting.delete(once)) return;
      end();
      this.world.changed();
    };
    this.lasting.add(once);
    if (ms !== undefined) this.clock.after(ms, once);
    this.world.changed();
  }

  /** Everything is as it was before. */
  heal(): void {
    for (const end of [...this.lasting]) end();
  }

  private start(effect: Condition): { end: () => void; ms: number | undefined } {
    if ("offline" in effect) return { end: this.offline(effect.offline.node), ms: effect.offline.for };
    if ("down" in effect) return { end: this.down(), ms: effect.down.for };
    if ("storage" in effect) return { end: this.storage(effect.storage), ms: effect.storage.for };
    if ("permission" in effect) return { end: this.withhold(effect.permission.take), ms: effect.permission.for };
    if ("expire" in effect) return { end: this.expire(), ms: effect.expire.for };
    this.clock.skew = effect.skew.ms;
    return { end: () => (this.clock.skew = 0), ms: undefined };
  }

  private offline(name: string): () => void {
    const node = this.world.node(name);
    if (node?.online !== true) return () => undefined;
    Object.assign(node, { online: false, away: true });
    return () => {
      node.online = true;
      delete node.away;
    };
  }

  private down(): () => void {
    this.downs++;
    for (const action of this.onDown) action();
    return () => this.downs--;
  }

  private storage({ id, full, slow }: Of<"storage">["storage"]): () => void {
    const { storageFaults } = this.world;
    const fault = { full: full === true, slow: slow ?? 0 };
    storageFaults.set(id, fault);
    return () => {
      if (storageFaults.get(id) === fault) storageFaults.delete(id);
    };
  }

  private withhold(taken: readonly string[]): () => void {
    const { access } = this.world.state;
    access.withheld = [...(access.withheld ?? []), ...taken];
    return () => {
      const left = [...(access.withheld ?? [])];
      for (const name of taken) if (left.includes(name)) left.splice(left.indexOf(name), 1);
      if (left.length > 0) access.withheld = left;
      else delete access.withheld;
    };
  }

  /** Tokens have ended, and the key that signs tickets is a new one. */
  private expire(): () => void {
    const { access, cluster } = this.world.state;
    cluster.ticketKey = `${cluster.ticketKey.slice(0, 64)}+${this.world.clock.now()}`;
    const tokens = Object.values(access.users).flatMap((user) => Object.values(user.tokens));
    for (const token of tokens) {
      if (token.expire !== EXPIRED) this.expires.set(token, token.expire);
      token.expire = EXPIRED;
    }
    this.expired++;
    return () => {
      if (--this.expired > 0) return;
      for (const [token, expire] of this.expires) token.expire = expire;
      this.expires.clear();
    };
  }
}
