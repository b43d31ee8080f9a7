import { readFileSync } from "node:fs";
import type { CommandResult, Io } from "../io.js";
import { toJson } from "../output/json.js";

/** Proxmoor's own version, from package.json beside the compiled program. */
export function packageVersion(): string {
  const text = readFileSync(new URL("../../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** `proxmoor version`. */
export function version(options: { readonly output?: string }, io: Io): Promise<CommandResult> {
  const facts = {
    proxmoor: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  };
  if (options.output === "json") io.out(`${toJson(facts)}\n`);
  else io.out(`proxmoor ${facts.proxmoor} (Node.js ${facts.node}, ${facts.platform})\n`);
  return Promise.resolve({ exitCode: 0 });
}
