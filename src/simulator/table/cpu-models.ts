import { propertyString } from "./table.js";

/** QEMU's own CPU models as PVE 9.2 lists them, and the levels that PVE adds. */
export const CPU_MODELS: ReadonlySet<string> = new Set([
  ...(propertyString("pve-vm-cpu-conf")?.["reported-model"]?.enum ?? []),
  "x86-64-v2",
  "x86-64-v2-AES",
  "x86-64-v3",
  "x86-64-v4",
]);
