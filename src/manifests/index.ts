export { readManifests } from "./read.js";
export type { ReadOptions } from "./read.js";
export type { ManifestDocument, Path, ReadResult, SourcePlace } from "./types.js";
