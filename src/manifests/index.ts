export { readManifests } from "./read.js";
export type { ReadOptions } from "./read.js";
export type { ManifestDocument, Path } from "./types.js";
