export { validateManifests } from "./validate.js";
export type { Validated } from "./validate.js";
