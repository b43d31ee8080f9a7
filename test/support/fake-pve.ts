import type { StepRequest, StepSender } from "../../src/apply/types.js";
import { taskTypeOf } from "../../src/apply/task-type.js";
import { ProxmoorError } from "../../src/model/errors.js";
import type { Kind } from "../../src/model/ref.js";
import type { ClusterReader, GuestStatus, ObservedGuest, RawConfig, Sight } from "../../src/observed/types.js";
import type { Step } from "../../src/plan/types.js";
import { decode } from "../../src/pve/codec/decode.js";
import { meaningOf } from "../../src/pve/error-texts.js";
import { requestOf } from "../../src/pve/requests.js";
import { traceTask } from "../../src/pve/trace.js";
import type { TaskReader, Upid } from "../../src/tasks/types.js";
import type { FakeClock } from "./fake-clock.js";

export interface FakeGuest {
  readonly kind: Kind;
  readonly vmid: number;
  node: string;
  status: GuestStatus;
  template: boolean;
  /** What the next start uses, and what of it waits for that. */
  config: Record<string, string>;
  pending: Record<string, string | null>;
  version: number;
}

interface FakeTask {
  readonly upid: Upid;
  readonly node: string;
  readonly type: string;
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly vmids: readonly number[];
  readonly log: readonly string[];
  exit: string;
  /** What has happened once it ends well. */
  effect: (() => void) | undefined;
}

/** What goes wrong with the next write of this kind. */
export interface Fault {
  readonly op: Step["op"];
  readonly vmid?: number;
  /** So often; once by default. */
  readonly times?: number;
  /**
   * `lost-before`: no answer and not taken; `lost-after`: no answer and taken; `task`: the task ends with `text`;
   * `refused`: an error answer with `text` (PVE's own, judged as the adapter does); `before`: just calls `then`.
   */
  readonly how: "lost-before" | "lost-after" | "task" | "refused" | "unreachable" | "before";
  readonly text?: string;
  /** Something that happens at that moment. */
  readonly then?: () => void;
}

/** Keys that wait for the next start of a running guest (BEHAVIOUR section 1, those that the tests use). */
const WAITS: Record<Kind, RegExp> = {
  VirtualMachine: /^(cores|sockets|cpu|memory|agent|smbios1|numa)$/,
  Container: /^(rootfs|features|nameserver|searchdomain)$/,
};
const DURATION: Partial<Record<Step["op"], number>> = { clone: 20_000, create: 3_000, shutdown: 2_000 };

/** A cluster in memory behind the ports that src/pve implements: tasks take the clock's time, writes can go wrong. */
export class FakePve {
  readonly guests = new Map<number, FakeGuest>();
  readonly tasks: FakeTask[] = [];
  /** Every write that reached the cluster, in order, as `12.5s create 100`. */
  readonly writes: string[] = [];
  readonly faults: Fault[] = [];
  /** Nodes that do not answer. */
  readonly silent = new Set<string>();
  /** What must never happen: a write without a look at its guest before it. */
  readonly violations: string[] = [];
  /** Called for every write before anything else, for tests that look into the database at that moment. */
  onWrite: ((step: Step, request: StepRequest | undefined) => void) | undefined;
  /** The whole cluster is away. */
  down = false;
  readonly #looked = new Set<number>();
  #serial = 0;

  constructor(
    readonly clock: FakeClock,
    readonly nodes: readonly string[] = ["pve1", "pve2"],
  ) {}

  add(guest: Partial<FakeGuest> & Pick<FakeGuest, "kind" | "vmid">): FakeGuest {
    const config = { ...guest.config };
    if (guest.kind === "VirtualMachine") config["smbios1"] ??= `uuid=${this.#uuid()}`;
    const whole: FakeGuest = {
      node: "pve1",
      status: "stopped",
      template: false,
      pending: {},
      version: 1,
      ...guest,
      config,
    };
    this.guests.set(guest.vmid, whole);
    return whole;
  }

  guest(vmid: number): FakeGuest {
    this.#settle();
    const guest = this.guests.get(vmid);
    if (!guest) throw new Error(`there is no guest ${vmid}`);
    return guest;
  }

  /** All guests as they are now. */
  all(): FakeGuest[] {
    this.#settle();
    return [...this.guests.values()];
  }

  /** Somebody edits the guest in the web interface. */
  edit(vmid: number, config: Record<string, string>): void {
    const guest = this.guest(vmid);
    Object.assign(guest.config, config);
    guest.version++;
  }

  /** `100 vm web-01 pve1 running cores=2 …`, one line a guest; identities and MACs left out. */
  print(): string {
    this.#settle();
    return [...this.guests.values()]
      .sort((a, b) => a.vmid - b.vmid)
      .map(({ vmid, kind, node, status, template, config, pending }) => {
        const shown = Object.entries(config)
          .filter(([key]) => !/^(smbios1|name|hostname)$/.test(key))
          .map(([key, value]) => [
            key,
            value.replace(/<!--.*?-->/, "(marker)").replace(/BC:24:11(:[0-9A-F]{2}){3}/g, "MAC"),
          ])
          .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1))
          .map(([key, value]) => `${key}=${value}`);
        const waits = Object.keys(pending).filter((key) => key !== "smbios1");
        const words = [vmid, kind === "Container" ? "ct" : "vm", config["name"] ?? config["hostname"], node];
        if (template) words.push("template");
        return [...words, status, ...shown, ...(waits.length > 0 ? [`(waits: ${waits.join(" ")})`] : [])].join(" ");
      })
      .join("\n");
  }

  readonly taskReader: TaskReader = {
    state: async (upid) => {
      this.#answer();
      const task = this.tasks.find((one) => one.upid === upid);
      if (!task) throw new ProxmoorError("PVE_TASK_LOST", `no such task ${upid}`);
      return task.end > this.clock.now() ? { running: true } : { running: false, exit: task.exit };
    },
    log: async (upid, after) => {
      this.#answer();
      const task = this.tasks.find((one) => one.upid === upid);
      return (task?.log ?? []).map((text, index) => ({ n: index + 1, text })).slice(after);
    },
    list: async (node, filter) => {
      this.#answer(node);
      return this.tasks
        .filter(
          (one) =>
            one.node === node &&
            (filter.vmid === undefined || one.id === String(filter.vmid)) &&
            one.start >= (filter.since ?? 0),
        )
        .reverse()
        .map(({ upid, type, id, start, end, exit }) => ({
          ...{ upid, node, type, id, user: "root@pam!test", startTime: start },
          ...(end <= this.clock.now() && { endTime: end, exit }),
        }));
    },
  };

  readonly reader: ClusterReader = {
    overview: async () => {
      this.#answer();
      return {
        nodes: this.nodes.map((name) => ({ name, status: this.silent.has(name) ? "offline" : "online" }) as const),
        storages: [],
        guests: [...this.guests.values()].map((guest) => this.#summary(guest)),
        silent: new Map([...this.silent].map((node) => [node, "no answer"])),
      };
    },
    guestConfig: async ({ vmid, node }) => {
      this.#answer(node);
      const guest = this.guests.get(vmid);
      if (!guest) throw new ProxmoorError("PVE_NOT_FOUND", `Configuration file '${vmid}.conf' does not exist`);
      return rawOf(guest);
    },
    decode,
    guestStatus: async ({ vmid }) => this.guest(vmid).status,
  };

  readonly sender: StepSender = {
    look: async ({ vmid, node }): Promise<Sight> => {
      if (this.down || this.silent.has(node)) return { at: "unreadable", node, reason: "no answer" };
      this.#answer();
      this.#looked.add(vmid);
      const guest = this.guests.get(vmid);
      if (!guest) return { at: "absent" };
      const raw = rawOf(guest);
      return { at: "present", guest: { ...this.#summary(guest), ...raw, ...decode(guest.kind, raw) } };
    },
    describe: (step, base) => requestOf(step, base) ?? { method: "PUT", path: "", params: {} },
    trace: (hint, known) => traceTask(this.taskReader, hint, known),
    explain: (exit, subject) => {
      const { code, retry, remedy } = meaningOf(500, exit);
      return new ProxmoorError(code === "PVE_ERROR" ? "PVE_TASK_FAILED" : code, exit, { subject, retry, remedy });
    },
    send: async (step, base) => this.#send(step, base),
  };

  #send(step: Step, base: ObservedGuest | undefined): { upid?: Upid } {
    const request = requestOf(step, base);
    const { vmid } = step.target;
    this.onWrite?.(step, request);
    if (!this.#looked.delete(vmid)) this.violations.push(`${step.op} ${vmid} was sent without a look before it`);
    const fault = this.#fault(step);
    fault?.then?.();
    if (fault?.how === "lost-before") throw new ProxmoorError("PVE_NO_ANSWER", "the connection was lost");
    if (fault?.how === "unreachable")
      throw new ProxmoorError("PVE_UNREACHABLE", "connection refused", { retry: "later" });
    this.#answer(step.target.node);
    if (fault?.how === "refused") throw refusal(fault.text ?? "no");
    if (request === undefined) return {};
    this.writes.push(`${step.op} ${vmid}`);
    const answer = this.#carryOut(step, request, fault?.how === "task" ? fault.text : undefined);
    if (fault?.how === "lost-after") throw new ProxmoorError("PVE_NO_ANSWER", "the connection was lost");
    return answer;
  }

  #fault(step: Step): Fault | undefined {
    const index = this.faults.findIndex(
      (one) => one.op === step.op && (one.vmid === undefined || one.vmid === step.target.vmid),
    );
    const fault = this.faults[index];
    if (!fault) return undefined;
    if ((fault.times ?? 1) > 1) this.faults[index] = { ...fault, times: (fault.times ?? 1) - 1 };
    else this.faults.splice(index, 1);
    return fault;
  }

  #carryOut(step: Step, request: StepRequest, failure: string | undefined): { upid?: Upid } {
    const { vmid, kind } = step.target;
    const guest = this.guests.get(vmid);
    const makes = step.op === "create" || step.op === "clone";
    if (makes && guest)
      throw refusal(`unable to create VM ${vmid} - VM ${vmid} already exists on node '${guest.node}'`);
    if (!makes && !guest)
      throw refusal(`Configuration file 'nodes/${step.target.node}/qemu-server/${vmid}.conf' does not exist`);
    const sourceId = step.op === "clone" ? step.source.vmid : vmid;
    if (this.#isBusy(vmid) || (step.op === "clone" && this.#isBusy(sourceId)))
      throw refusal(`can't lock file '/var/lock/qemu-server/lock-${sourceId}.conf' - got timeout`);
    const digest = request.params["digest"];
    if (guest && digest !== undefined && digest !== String(guest.version))
      throw refusal("checksum mismatch (file change by other user?)");
    if (step.op === "configure") {
      if (guest) this.#configure(guest, request.params);
      return {};
    }
    const effect = this.#effect(step, request, guest);
    if (makes) {
      // PVE reserves the id at once, with the config locked and without what makes the guest ours
      const mine = step.op === "clone" ? { description: request.params["description"] ?? "" } : request.params;
      this.add({ kind, vmid, node: step.target.node, config: identityOf(mine) });
    }
    return { upid: this.#task(step, effect, failure) };
  }

  #effect(step: Step, request: StepRequest, guest: FakeGuest | undefined): () => void {
    const { vmid, node, kind } = step.target;
    switch (step.op) {
      case "create":
        return () => {
          const { vmid: _vmid, ostemplate: _template, ...params } = request.params;
          this.add({ kind, vmid, node, config: this.#normal(vmid, kind, params) });
        };
      case "clone":
        return () => {
          const source = this.guest(step.source.vmid);
          const { smbios1: _uuid, ...config } = source.config;
          const { name = "", description = "" } = request.params;
          const own = Object.fromEntries(
            Object.entries(config).map(([key, value]) => [key, value.replace(`vm-${source.vmid}-`, `vm-${vmid}-`)]),
          );
          this.add({ kind, vmid, node, config: { ...own, name, description } });
        };
      case "resize":
        return () => {
          if (!guest) return;
          guest.config[step.disk] = (guest.config[step.disk] ?? "").replace(
            /size=\d+G/,
            `size=${request.params["size"]}`,
          );
          guest.version++;
        };
      case "start":
      case "reboot":
        return () => {
          if (guest) Object.assign(guest, { status: "running", pending: {}, version: guest.version + 1 });
        };
      case "stop":
      case "shutdown":
        return () => {
          if (guest) Object.assign(guest, { status: "stopped", pending: {}, version: guest.version + 1 });
        };
      case "destroy":
        return () => this.guests.delete(vmid);
      case "configure":
      case "migrate":
        throw new Error(`${step.op} is no task here`);
    }
  }

  #task(step: Step, effect: () => void, failure: string | undefined): Upid {
    const { vmid } = step.target;
    const type = taskTypeOf(step);
    const id = step.op === "clone" ? step.source.vmid : vmid;
    const node = step.op === "clone" ? step.source.node : step.target.node;
    const start = this.clock.now();
    const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, "0");
    const upid = `UPID:${node}:${hex(++this.#serial)}:00000001:${hex(Math.floor(start / 1000))}:${type}:${id}:root@pam!test:`;
    const guest = this.guests.get(vmid);
    const wrong =
      step.op === "start" && guest?.status === "running"
        ? `VM ${vmid} already running`
        : step.op === "destroy" && guest?.status === "running"
          ? `VM ${vmid} is running - destroy failed`
          : failure;
    const task: FakeTask = {
      ...{ upid, node, type, id: String(id), start, end: start + (DURATION[step.op] ?? 800) },
      vmids: step.op === "clone" ? [id, vmid] : [vmid],
      log: step.op === "clone" ? [`creating a clone of VM ${id} with ID ${vmid}`, "copying"] : [`${step.op} ${vmid}`],
      exit: wrong ?? "OK",
      effect,
    };
    if (wrong !== undefined)
      task.effect = step.op === "create" || step.op === "clone" ? () => this.guests.delete(vmid) : undefined;
    this.tasks.push(task);
    return upid;
  }

  #configure(guest: FakeGuest, params: StepRequest["params"]): void {
    const { digest: _digest, delete: removed, ...set } = params;
    const waits = (key: string) => guest.status === "running" && WAITS[guest.kind].test(key);
    for (const [key, value] of Object.entries(this.#normal(guest.vmid, guest.kind, set))) {
      if (waits(key)) guest.pending[key] = value;
      guest.config[key] = value;
    }
    for (const key of removed?.split(",") ?? []) {
      if (waits(key)) guest.pending[key] = null;
      delete guest.config[key];
    }
    guest.version++;
  }

  /** How PVE writes values down: volumes allocated, MACs made up. */
  #normal(vmid: number, kind: Kind, params: StepRequest["params"]): Record<string, string> {
    const config: Record<string, string> = {};
    for (const [key, value] of Object.entries(params)) {
      const volume = /^(?:volume=|file=)?([^:,/]+):(\d+)(,.*)?$/.exec(value);
      if (volume && /^(scsi|virtio|sata|ide|rootfs|mp)/.test(key))
        config[key] = `${volume[1]}:vm-${vmid}-${key}${volume[3] ?? ""},size=${volume[2]}G`;
      else if (/^net\d/.test(key) && !/[0-9A-F]{2}(:[0-9A-F]{2}){5}/i.test(value)) {
        const mac = `BC:24:11:00:${Math.floor(++this.#serial / 256)
          .toString(16)
          .padStart(2, "0")}:${(this.#serial % 256).toString(16).padStart(2, "0")}`;
        config[key] =
          kind === "Container"
            ? `${value},hwaddr=${mac.toUpperCase()}`
            : value.replace(/^\w+/, `$&=${mac.toUpperCase()}`);
      } else config[key] = value;
    }
    return config;
  }

  #isBusy(vmid: number): boolean {
    return this.tasks.some((one) => one.end > this.clock.now() && one.vmids.includes(vmid));
  }

  /** Lets the tasks that are due take effect; throws where nobody answers. */
  #answer(node?: string): void {
    this.#settle();
    if (this.down) throw new ProxmoorError("PVE_UNREACHABLE", "connect ECONNREFUSED", { retry: "later" });
    if (node !== undefined && this.silent.has(node))
      throw new ProxmoorError("PVE_NODE_OFFLINE", `${node} does not answer`, { retry: "later" });
  }

  #settle(): void {
    for (const task of this.tasks) {
      if (task.end > this.clock.now() || !task.effect) continue;
      const { effect } = task;
      task.effect = undefined;
      effect();
    }
  }

  #summary(guest: FakeGuest) {
    const name = guest.config["name"] ?? guest.config["hostname"];
    const { kind, vmid, node, status, template } = guest;
    return { kind, vmid, node, status, template, tags: [], ...(name !== undefined && { name }) };
  }

  #uuid(): string {
    return `00000000-0000-4000-8000-${String(++this.#serial).padStart(12, "0")}`;
  }
}

function rawOf(guest: FakeGuest): RawConfig {
  return { config: { ...guest.config }, pending: { ...guest.pending }, digest: String(guest.version) };
}

function identityOf(params: Readonly<Record<string, string>>): Record<string, string> {
  const { smbios1, description } = params;
  return { ...(smbios1 !== undefined && { smbios1 }), ...(description !== undefined && { description }) };
}

/** PVE's error answer, judged as the adapter judges it. */
function refusal(text: string): ProxmoorError {
  const { code, retry, remedy, what } = meaningOf(500, text);
  return new ProxmoorError(code, text, { retry, remedy, facts: { what } });
}
