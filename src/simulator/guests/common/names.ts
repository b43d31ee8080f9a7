import type { Guest } from "../../state/model.js";

/** How PVE calls a guest of this kind in its texts. */
export const kindWord = (guest: Guest): "VM" | "CT" => (guest.kind === "qemu" ? "VM" : "CT");
