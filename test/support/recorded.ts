import { readFileSync } from "node:fs";
import type { Kind } from "../../src/model/ref.js";
import type { ObservedGuest } from "../../src/observed/types.js";
import { rawConfig } from "../../src/pve/guest.js";
import { summary } from "./observed.js";

interface Recorded {
  readonly name: string;
  readonly kind: Kind;
  readonly config: Readonly<Record<string, unknown>>;
}

/** A guest for each configuration that a real PVE 9.2 answered with, read as the adapter reads it. */
export function recordedGuests(): ObservedGuest[] {
  const all = JSON.parse(readFileSync("test/fixtures/pve/configs.json", "utf8")) as Recorded[];
  return all.map(({ name, kind, config }, at) => {
    const rows = Object.entries(config).map(([key, value]) => ({ key, value }));
    const raw = rawConfig(rows, name);
    return {
      ...summary(1000 + at, { kind, name: `guest-${at}` }),
      ...raw,
      fields: {},
      pendingFields: [],
      identities: [],
    };
  });
}
