import { watch } from "chokidar";
import { validateManifests } from "../desired/index.js";
import { readManifests } from "../manifests/index.js";
import type { DesiredSource } from "./ports.js";

/** Files and folders on this machine as the source of desires. */
export class DirectorySource implements DesiredSource {
  constructor(
    private readonly inputs: readonly string[],
    private readonly options: { readonly recursive: boolean; readonly covers: (source: string) => boolean },
  ) {}

  async read(): ReturnType<DesiredSource["read"]> {
    const read = await readManifests(this.inputs, { recursive: this.options.recursive });
    const { guests, faults } = validateManifests(read.documents);
    const partial = validateManifests(read.partial).faults;
    return {
      desired: { guests },
      faults: [...read.faults, ...faults, ...partial],
      // a folder that vanished or can't be read says nothing about its guests
      complete: !read.faults.some((fault) => fault.code === "MANIFEST_UNREADABLE" || fault.code === "MANIFEST_EMPTY"),
    };
  }

  async watch(changed: () => void): Promise<() => Promise<void>> {
    // editors save by writing beside and renaming: chokidar tells of both names, and reading again is cheap
    const watcher = watch([...this.inputs], { ignoreInitial: true, ...(this.options.recursive ? {} : { depth: 0 }) });
    watcher.on("all", changed);
    watcher.on("error", changed);
    await new Promise<void>((resolve) => watcher.once("ready", resolve));
    return () => watcher.close();
  }

  covers(source: string): boolean {
    return this.options.covers(source);
  }
}
