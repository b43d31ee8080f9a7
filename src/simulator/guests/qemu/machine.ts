import type { Guest } from "../../state/model.js";

/** QEMU's version that the simulated nodes have. */
export const QEMU_VERSION = "10.0.2";

/** The machine type that a VM runs as. */
export const runningMachine = (config: Guest["config"]): string =>
  /q35/.test(config["machine"] ?? "") ? "pc-q35-10.0" : "pc-i440fx-10.0";
