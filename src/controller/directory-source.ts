import { stat } from "node:fs/promises";
import { watch, type FSWatcher } from "chokidar";
import { validateManifests } from "../desired/index.js";
import { readManifests } from "../manifests/index.js";
import type { DesiredSource } from "./ports.js";

/** chokidar misses a second rename onto a file right after the first: whatever happens, it is told once more, ms. */
const ONCE_MORE_MS = 1000;
/** chokidar is silent about the removal of what it was told to watch, and blind once that is back. */
const LOOK_MS = 1000;

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
    const watching = new Watching(this.inputs, this.options.recursive, changed);
    await watching.open();
    return () => watching.close();
  }

  covers(source: string): boolean {
    return this.options.covers(source);
  }
}

/** chokidar, and a look at the inputs themselves once a second. */
class Watching {
  #watcher: FSWatcher | undefined;
  #places = "";
  #onceMore: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(
    private readonly inputs: readonly string[],
    private readonly recursive: boolean,
    private readonly changed: () => void,
  ) {}

  async open(): Promise<void> {
    this.#places = await this.#placesNow();
    await this.#watch();
    this.#lookLater();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#onceMore);
    clearTimeout(this.#look);
    await this.#looking;
    await this.#watcher?.close();
  }

  async #watch(): Promise<void> {
    const watcher = watch([...this.inputs], { ignoreInitial: true, ...(this.recursive ? {} : { depth: 0 }) });
    this.#watcher = watcher;
    watcher.on("all", () => this.#tell());
    watcher.on("error", () => this.#tell());
    await new Promise<void>((resolve) => watcher.once("ready", resolve));
  }

  #tell(): void {
    this.changed();
    clearTimeout(this.#onceMore);
    this.#onceMore = setTimeout(this.changed, ONCE_MORE_MS).unref();
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#look = setTimeout(() => {
      this.#looking = this.#lookAtInputs().finally(() => this.#lookLater());
    }, LOOK_MS).unref();
  }

  async #lookAtInputs(): Promise<void> {
    const places = await this.#placesNow();
    if (places === this.#places) return;
    this.#places = places;
    await this.#watcher?.close();
    await this.#watch();
    this.#tell();
  }

  /** Which files and folders the inputs are right now, by inode. */
  async #placesNow(): Promise<string> {
    const places = this.inputs.map((input) =>
      stat(input).then(
        ({ dev, ino }) => `${dev}:${ino}`,
        () => "none",
      ),
    );
    return (await Promise.all(places)).join(" ");
  }
}
