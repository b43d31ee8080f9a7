import type { NodeState } from "../state/model.js";
import { load } from "../guests/common/figures.js";
import type { World } from "../world.js";

const ROOT_DISK = 100 * 2 ** 30;

/** Load of a node: its guests' and a little of its own. */
export function nodeFigures(world: World, node: NodeState): Record<string, number> {
  let mem = Math.floor(node.memory * 0.06);
  let cpu = 0.01;
  for (const guest of Object.values(world.state.guests)) {
    if (guest.node !== node.name || guest.run === undefined) continue;
    const figures = load(world, guest);
    mem += figures.mem;
    cpu += figures.cpu / node.cpus;
  }
  return {
    cpu: Math.min(1, Math.round(cpu * 1e6) / 1e6),
    maxcpu: node.cpus,
    mem: Math.min(node.memory, mem),
    maxmem: node.memory,
    disk: Math.floor(ROOT_DISK * 0.1),
    maxdisk: ROOT_DISK,
    uptime: Math.max(1, Math.floor(world.clock.now() / 1000 - node.bootedAt)),
  };
}
