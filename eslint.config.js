import tseslint from "typescript-eslint";

// Clock, randomness and the environment are parameters of the pure modules (docs: ARCHITECTURE, "Rules").
const pure = ["model", "desired", "observed", "plan", "apply", "history"].map((name) => `src/${name}/**/*.ts`);

export default tseslint.config(
  { ignores: ["dist/**", "coverage/**", "node_modules/**", "*.cjs", "*.js"] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      eqeqeq: "error",
    },
  },
  {
    files: ["src/**/*.ts"],
    ignores: ["src/config/**"],
    rules: {
      "no-restricted-properties": [
        "error",
        { object: "process", property: "env", message: "process.env is read in src/config alone." },
        { object: "process", property: "exit", message: "process.exit is called in src/cli/main.ts alone." },
      ],
    },
  },
  {
    files: ["src/cli/main.ts"],
    rules: {
      "no-restricted-properties": [
        "error",
        { object: "process", property: "env", message: "process.env is read in src/config alone." },
      ],
    },
  },
  {
    files: pure,
    rules: {
      "no-restricted-globals": [
        "error",
        { name: "process", message: "Pure module: the environment is a parameter." },
        { name: "setTimeout", message: "Pure module: the clock is a parameter." },
        { name: "setInterval", message: "Pure module: the clock is a parameter." },
        { name: "fetch", message: "Pure module: no I/O." },
        { name: "crypto", message: "Pure module: randomness is a parameter." },
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "Pure module: the clock is a parameter." },
        { object: "Math", property: "random", message: "Pure module: randomness is a parameter." },
        { object: "performance", property: "now", message: "Pure module: the clock is a parameter." },
      ],
      "no-restricted-syntax": [
        "error",
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: "Pure module: the clock is a parameter.",
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/no-unused-expressions": "off", "@typescript-eslint/no-floating-promises": "error" },
  },
);
