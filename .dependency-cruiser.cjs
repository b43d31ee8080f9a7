// The arrows of docs/adr and ARCHITECTURE: data moves right, imports point left. Type imports count.
const layers = {
  model: [],
  manifests: ["model"],
  desired: ["model", "manifests"],
  observed: ["model"],
  plan: ["model", "desired", "observed"],
  tasks: ["model", "observed"],
  apply: ["model", "desired", "observed", "plan", "tasks"],
  history: ["model", "observed"],
  controller: ["model", "manifests", "desired", "observed", "plan", "apply", "tasks", "history"],
  pve: ["model", "desired", "observed", "plan", "apply", "tasks"],
  store: ["model", "desired", "observed", "plan", "apply", "tasks", "history", "controller"],
  simulator: [],
  http: ["model", "controller"],
  config: ["model"],
  cli: [
    "model",
    "manifests",
    "desired",
    "observed",
    "plan",
    "apply",
    "tasks",
    "history",
    "controller",
    "pve",
    "store",
    "simulator",
    "http",
    "config",
  ],
};

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-orphans",
      severity: "error",
      from: { orphan: true, path: "^src/", pathNot: ["^src/cli/main\\.ts$"] },
      to: {},
    },
    {
      name: "no-dev-deps-in-src",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], pathNot: "@types/" },
    },
    ...Object.entries(layers).map(([name, allowed]) => ({
      name: `${name}-imports`,
      comment: `src/${name} may import: ${[name, ...allowed].join(", ")}`,
      severity: "error",
      from: { path: `^src/${name}/` },
      to: {
        path: name === "store" ? "^(src|test|bench)/" : "^(src|migrations|test|bench)/",
        pathNot: `^src/(${[name, ...allowed].join("|")})/`,
      },
    })),
    {
      name: "pure-imports-no-io",
      severity: "error",
      from: { path: "^src/(model|desired|observed|plan|apply|history)/" },
      to: {
        dependencyTypes: ["core", "npm"],
        pathNot: ["node_modules/ajv", "node_modules/fastest-levenshtein", "^ajv", "^fastest-levenshtein"],
      },
    },
    {
      name: "typeorm-in-store-only",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/store/" },
      to: { path: "node_modules/(typeorm|sqlite3|pg)/" },
    },
    {
      name: "undici-in-pve-only",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/pve/" },
      to: { path: "node_modules/undici/" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
    },
  },
};
