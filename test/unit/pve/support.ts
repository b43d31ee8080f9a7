import { readFileSync, writeFileSync } from "node:fs";

import { expect } from "chai";

import type { RawConfig } from "../../../src/observed/types.js";
import type { Kind } from "../../../src/model/ref.js";

const FIXTURES = new URL("../../../../test/fixtures/pve/", import.meta.url);

export function fixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, FIXTURES), "utf8")) as T;
}

/** A recorded configuration: `section/name` of the conformance set, values as PVE sent them. */
export interface RecordedConfig {
  readonly name: string;
  readonly kind: Kind;
  readonly config: Readonly<Record<string, string | number>>;
}

/** As the reader gives it: texts, the digest apart. */
export function rawOf(config: RecordedConfig["config"], pending: RawConfig["pending"] = {}): RawConfig {
  const { digest, ...rest } = config;
  return {
    config: Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, String(value)])),
    pending,
    digest: String(digest ?? ""),
  };
}

/** Compares with a file that a person can read; UPDATE_GOLDEN=1 writes it. */
export function expectGolden(name: string, actual: string): void {
  const file = new URL(name, FIXTURES);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, actual);
  expect(actual.split("\n")).to.deep.equal(readFileSync(file, "utf8").split("\n"));
}
