import type { Guest } from "../../state/model.js";
import type { World } from "../../world.js";

/** Load and traffic of a guest: made up, but steady, so that two reads within a second agree. */
export interface Figures {
  /** Share of one CPU. */
  readonly cpu: number;
  /** Bytes. */
  readonly mem: number;
  readonly netin: number;
  readonly netout: number;
}

const NONE: Figures = { cpu: 0, mem: 0, netin: 0, netout: 0 };
const MIB = 2 ** 20;

export function load(world: World, guest: Guest): Figures {
  if (guest.run === undefined) return NONE;
  const uptime = world.age(guest.run.startedAt);
  const memory = Number(/(\d+)/.exec(guest.config["memory"] ?? "512")?.[1] ?? 512) * MIB;
  const share = 0.2 + ((guest.vmid * 7) % 40) / 100;
  const wave = (1 + Math.sin(uptime / 300 + guest.vmid)) / 2;
  return {
    cpu: uptime < 3 ? 0 : Math.round((0.004 + 0.03 * wave) * 1e6) / 1e6,
    mem: Math.floor(memory * Math.min(share, 0.05 + uptime / 200)),
    netin: uptime * (310 + (guest.vmid % 50)),
    netout: uptime * (120 + (guest.vmid % 30)),
  };
}

/** Bytes read and written since the start. */
export const hostRead = (world: World, guest: Guest): number =>
  guest.run === undefined ? 0 : 16 * MIB + world.age(guest.run.startedAt) * 512;

export const hostWritten = (world: World, guest: Guest): number =>
  guest.run === undefined ? 0 : world.age(guest.run.startedAt) * 1024;
