import type { Random } from "../random.js";
import type { Guest } from "../state/model.js";
import type { World } from "../world.js";
import type { Deed } from "./rules.js";

/** A call of PVE's API by root, as somebody else makes it. */
export type CallAsRoot = (method: string, path: string, params?: Record<string, string>) => Promise<unknown>;

const POLL_MS = 100;
const PATIENCE = 600;

/** Somebody who works on the cluster beside its controller, by PVE's own calls, and is refused as anybody is. */
export class Person {
  /** A call of this person is being answered: tasks that begin now are his own. */
  isActing = false;

  constructor(
    private readonly world: World,
    private readonly random: Random,
    private readonly call: CallAsRoot,
  ) {}

  /** Does one of the deeds to the guest, or to any; ends when its tasks have. */
  async act(deeds: readonly Deed[], vmid: number | undefined): Promise<void> {
    const deed = deeds[this.random.below(deeds.length)] ?? "edit";
    const guest = vmid === undefined ? this.anyGuest() : this.world.guest(vmid);
    if (guest === undefined) return;
    try {
      await this.carryOut(deed, guest);
    } catch {
      return; // refused, like anybody else
    }
  }

  private anyGuest(): Guest | undefined {
    const guests = Object.values(this.world.state.guests).filter((guest) => guest.config["template"] !== "1");
    return guests.length === 0 ? undefined : guests[this.random.below(guests.length)];
  }

  private carryOut(deed: Deed, guest: Guest): Promise<void> {
    switch (deed) {
      case "edit":
        return this.edit(guest);
      case "stop":
        return this.run("POST", `${pathOf(guest)}/status/stop`);
      case "delete":
        return this.remove(guest);
      case "clone":
        return this.clone(guest);
      case "migrate":
        return this.migrate(guest);
      case "reuse":
        return this.reuse(guest);
    }
  }

  private edit(guest: Guest): Promise<void> {
    const edits = [
      { description: `edited by hand, ${this.random.hex(4)}` },
      { tags: `by-hand;t${this.random.below(10)}` },
      { memory: String(512 + 256 * this.random.below(8)) },
      { onboot: String(this.random.below(2)) },
    ];
    return this.run("PUT", `${pathOf(guest)}/config`, edits[this.random.below(edits.length)] ?? {});
  }

  private async remove(guest: Guest): Promise<void> {
    if (guest.run !== undefined) await this.run("POST", `${pathOf(guest)}/status/stop`);
    await this.run("DELETE", pathOf(guest), { purge: "1" });
  }

  private async clone(guest: Guest): Promise<void> {
    const newid = String(await this.call("GET", "/cluster/nextid"));
    const name = `copy-${this.random.hex(4)}`;
    const named: Record<string, string> = guest.kind === "qemu" ? { name } : { hostname: name };
    await this.run("POST", `${pathOf(guest)}/clone`, { newid, ...named, full: "1" });
  }

  private async migrate(guest: Guest): Promise<void> {
    const others = Object.values(this.world.state.nodes).filter((node) => node.online && node.name !== guest.node);
    const target = others[this.random.below(Math.max(1, others.length))]?.name;
    if (target === undefined) return;
    const live = { online: "1", "with-local-disks": "1" };
    const running: Record<string, string> = guest.kind === "qemu" ? live : { restart: "1" };
    await this.run("POST", `${pathOf(guest)}/migrate`, { target, ...(guest.run !== undefined && running) });
  }

  private async reuse(guest: Guest): Promise<void> {
    await this.remove(guest);
    await this.run("POST", `/nodes/${guest.node}/qemu`, { vmid: String(guest.vmid), name: "intruder", memory: "512" });
  }

  /** A call, and its task to the end. */
  private async run(method: string, path: string, params: Record<string, string> = {}): Promise<void> {
    this.isActing = true;
    const answer = this.call(method, path, params);
    this.isActing = false;
    const upid = await answer;
    if (typeof upid !== "string" || !upid.startsWith("UPID:")) return;
    for (let polls = 0; polls < PATIENCE && this.world.tasks.isActive(upid); polls++)
      await new Promise<void>((resolve) => void this.world.clock.after(POLL_MS, resolve));
  }
}

const pathOf = ({ node, kind, vmid }: Guest): string => `/nodes/${node}/${kind}/${vmid}`;
