import { expect } from "chai";
import { loadConfig, requirePve } from "../../../src/config/config.js";
import { parseContextFile } from "../../../src/config/context-file.js";
import { codeBlocks, readText } from "./pages.js";

const page = readText("docs/guide/configuration.md");
const [example = ""] = codeBlocks(page, "yaml");

describe("docs/guide/configuration.md", () => {
  it("shows a context file that is read", () => {
    const { currentContext, contexts } = parseContextFile("config.yaml", example);
    expect(currentContext).equal("lab");
    expect(Object.keys(contexts)).deep.equal(["lab", "production"]);
  });

  it("shows contexts that are complete", () => {
    const secrets: Record<string, string> = { "/ctx.yaml": example };
    const read = (file: string) => secrets[file] ?? `content of ${file}`;
    const of = (context: string) => {
      const config = loadConfig({ flags: { context }, env: { PROXMOOR_CONFIG: "/ctx.yaml" }, readFile: read });
      const { endpoint, auth, tls } = requirePve(config);
      return { endpoint, auth: auth.kind, tls: Object.keys(tls), database: config.database.url() };
    };
    expect([of("lab"), of("production")]).deep.equal([
      {
        endpoint: "https://pve1.lab.example.org:8006",
        auth: "token",
        tls: ["insecure", "fingerprint"],
        database: "file:/var/lib/proxmoor/lab.db",
      },
      {
        endpoint: "https://pve.example.org:8006",
        auth: "token",
        tls: ["insecure", "ca"],
        database: "content of /run/secrets/proxmoor-database-url",
      },
    ]);
  });

  it("names every key that a context may have, and no other", () => {
    const keys = [...page.matchAll(/^\|[^|]*\| `([A-Za-z]+)`\s*\|/gm)].map((match) => match[1] ?? "");
    const refused = (key: string) => {
      try {
        parseContextFile("x", `contexts: { a: { ${key}: x } }`);
        return false;
      } catch {
        return true;
      }
    };
    expect(keys.filter(refused)).deep.equal([]);
    const allowed = /allowed are (.*)$/.exec(messageOf(() => parseContextFile("x", "contexts: { a: { no: x } }")))?.[1];
    expect([...new Set(keys)].sort().join(", ")).equal(allowed?.split(", ").sort().join(", "));
  });
});

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "";
}
