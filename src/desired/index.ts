export { validateManifests } from "./validate.js";
