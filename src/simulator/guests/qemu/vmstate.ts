import { fail } from "../../fault.js";
import type { Guest } from "../../state/model.js";
import { isShared } from "../../storage/storages.js";
import { allocate, findVolume, freeVolume } from "../../storage/volumes.js";
import { partsOf } from "../../table/check.js";
import type { Pause, TaskLog } from "../../tasks/runner.js";
import type { World } from "../../world.js";
import { drive, isCdrom, isDriveKey } from "./drives.js";
import { logFormatting } from "./disks.js";
import { runningMachine } from "./machine.js";
import { memoryOf } from "./memory.js";
import { isNetKey, parseNet } from "./nets.js";

const MIB = 2 ** 20;
/** What QEMU needs beside twice the memory. */
const OVERHEAD = 500 * MIB;
const MTU = 1500;

/** Keys that come with a saved state and go with it. */
export const STATE_KEYS = ["vmstate", "runningmachine", "runningcpu", "running-nets-host-mtu"] as const;

/** PVE's `find_vmstate_storage`: a shared storage of the VM's disks, then a local one, one with files before others. */
export function stateStorage(world: World, { config }: Guest): string {
  if (config["vmstatestorage"] !== undefined) return config["vmstatestorage"];
  const used = Object.entries(config).flatMap(([key, value]) => {
    if (!isDriveKey(key)) return [];
    const parts = drive(key, value);
    return isCdrom(parts, true) ? [] : [(parts["file"] ?? "").split(":")[0] ?? ""];
  });
  let [shared, local]: (string | undefined)[] = [];
  for (const name of [...new Set(used)].sort()) {
    const storage = world.state.storages[name];
    if (storage === undefined) continue;
    const files = storage.config["path"] !== undefined;
    if (isShared(storage)) shared = shared === undefined || files ? name : shared;
    else local = local === undefined || files ? name : local;
  }
  return shared ?? local ?? "local";
}

/** Devices whose state can't be saved. [BEHAVIOUR section 7] */
export function checkSavable({ config }: Guest): void {
  const blockers = ["amd-sev", "intel-tdx"].filter((key) => config[key] !== undefined);
  if (Object.keys(config).some((key) => /^virtiofs\d+$/.test(key))) blockers.push("virtiofs");
  if (blockers.length > 0)
    fail(`Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: ${blockers.join(", ")}`);
}

export interface Saving {
  readonly guest: Guest;
  readonly storage: string;
  /** The volume is `vm-ID-state-NAME`. */
  readonly name: string;
  /** The config section that gets `vmstate` and how the machine ran. */
  readonly into: Record<string, string>;
  /** Milliseconds at speed 1. */
  readonly duration: number;
  readonly log: TaskLog;
}

/** Saves the memory of a running VM: a volume of twice its size, a line of progress each second. */
export function* saveState(
  world: World,
  { guest, storage, name, into, duration, log }: Saving,
): Generator<Pause, void> {
  const memory = memoryOf(guest.config["memory"]) * MIB;
  const extension = world.state.storages[storage]?.config["path"] === undefined ? "" : ".raw";
  const volume = allocate(world, {
    storage,
    node: guest.node,
    vmid: guest.vmid,
    format: "raw",
    size: 2 * memory + OVERHEAD,
    name: `vm-${guest.vmid}-state-${name}${extension}`,
  });
  logFormatting({ world, log }, volume.volid, "raw", volume.size);
  Object.assign(into, { vmstate: volume.volid }, howItRuns(guest));
  world.guestChanged(guest);
  const saved = Math.round(memory / 4);
  const seconds = Math.max(1, Math.round(duration / 1000));
  try {
    log.line(`saving VM state and RAM using storage '${storage}'`);
    for (let second = 0; second < seconds; second++) {
      log.line(`${bytes((saved * (second + 0.1)) / seconds)} in ${elapsed(second)}`);
      yield duration / seconds;
    }
  } catch (error) {
    dropState(world, guest, into);
    throw error;
  }
  log.line(`completed saving the VM state in ${elapsed(seconds)}, saved ${bytes(saved)}`);
}

/** The state of a section goes, its volume with it. */
export function dropState(world: World, guest: Guest, section: Record<string, string>): void {
  const { vmstate } = section;
  for (const key of STATE_KEYS) delete section[key];
  if (vmstate !== undefined && findVolume(world.state, vmstate, guest.node) !== undefined)
    freeVolume(world, vmstate, guest.node);
  world.guestChanged(guest);
}

/** What a machine that takes up the state must be like. */
function howItRuns({ config }: Guest): Record<string, string> {
  const cpu = partsOf(config["cpu"] ?? "", "pve-vm-cpu-conf")["cputype"] ?? "kvm64";
  const flags = cpu === "kvm64" ? ",+kvm_pv_eoi,+kvm_pv_unhalt,+lahf_lm,+sep" : ",+kvm_pv_eoi,+kvm_pv_unhalt";
  const nets = Object.keys(config).filter((key) => isNetKey(key) && parseNet(config[key] ?? "")["model"] === "virtio");
  const mtus = nets.sort().map((key) => `${key}=${parseNet(config[key] ?? "")["mtu"] ?? MTU}`);
  return {
    runningmachine: `${runningMachine(config)}+pve0`,
    runningcpu: `${cpu}${cpu === "host" ? "" : ",enforce"}${flags}`,
    ...(mtus.length > 0 && { "running-nets-host-mtu": mtus.join(",") }),
  };
}

/** `12.34 MiB`. */
function bytes(count: number): string {
  let value = count;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (value < 1024) return `${value.toFixed(2)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(2)} GiB`;
}

/** `1m 5s`, `0s`. */
function elapsed(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}
