import { fail } from "../../fault.js";
import { partsOf } from "../../table/check.js";
import { hotplugFeatures } from "./features.js";

/** MiB that can't be unplugged. */
const STATIC = 1024;
const STEPS: readonly number[] = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
const PER_STEP = 32;

export const memoryOf = (value: string | undefined): number =>
  Number(value === undefined ? 512 : (partsOf(value, "memory")["current"] ?? 512));

/** DIMMs of 512 MiB × 32, 1024 × 32 …: the first size with whole DIMMs that is not below what is wanted. */
function wholeDimms(wanted: number): { readonly size: number; readonly last: number } {
  let [size, last] = [STATIC, STEPS[0] ?? STATIC];
  for (const dimm of STEPS)
    for (let i = 0; i < PER_STEP && size < wanted; i++) {
      size += dimm;
      last = dimm;
    }
  return { size, last };
}

/** PVE's `qemu_memory_hotplug`. @returns MiB reached, which may be more than what is wanted */
export function plugMemory(before: string | undefined, wanted: string | undefined): number {
  const size = memoryOf(wanted);
  if (size === memoryOf(before)) return size;
  if (size < STATIC) fail(`memory can't be lower than ${STATIC} MB`);
  return wholeDimms(size).size;
}

/** What a start with memory hotplug asks of the configuration. @throws the start's error */
export function checkMemory(config: Readonly<Record<string, string>>): void {
  if (!hotplugFeatures(config["hotplug"]).has("memory")) return;
  if (config["numa"] !== "1") fail("NUMA needs to be enabled for memory hotplug");
  const has = (pattern: RegExp): boolean => Object.keys(config).some((key) => pattern.test(key));
  if (has(/^virtiofs\d+$/)) fail("Memory hotplug does not work in combination with virtio-fs.");
  if (has(/^numa\d+$/)) fail("cannot enable memory hotplugging with custom NUMA topology");
  const size = memoryOf(config["memory"]);
  const least = STATIC * (config["hugepages"] === "1024" ? Number(config["sockets"] ?? 1) : 1);
  if (size < least) fail(`minimum memory must be ${least}MB`);
  const whole = wholeDimms(size);
  if (whole.size > size) fail(`memory size (${size}) must be aligned to ${whole.last} for hotplugging`);
}
