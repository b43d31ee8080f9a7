import { expect } from "chai";
import { loadConfig, requirePve, type ConfigInput } from "../../../src/config/config.js";
import { describeError, ProxmoorError } from "../../../src/model/errors.js";

const TOKEN = "ops@pve!main=11111111-2222-4333-8444-planted-secret";
const FINGERPRINT = Array<string>(32).fill("AB").join(":");

interface Given {
  readonly flags?: ConfigInput["flags"];
  readonly env?: ConfigInput["env"];
  /** By path; the context file is at /home/me/.config/proxmoor/config.yaml. */
  readonly files?: Readonly<Record<string, string>>;
}

const CONTEXTS = "/home/me/.config/proxmoor/config.yaml";

function load({ flags = {}, env = {}, files = {} }: Given) {
  const readFile = (path: string) => {
    const text = files[path];
    if (text !== undefined) return text;
    throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { code: "ENOENT" });
  };
  return loadConfig({ flags, env: { HOME: "/home/me", ...env }, readFile });
}

/** What comes out, secrets read, in one line; or the error as a person sees it. */
function pve(given: Given): string {
  try {
    const { endpoint, auth, tls } = requirePve(load(given));
    const login = auth.kind === "token" ? auth.token() : `${auth.username} ${auth.password()}`;
    return [endpoint, login, ...Object.entries(tls).map(([key, value]) => `${key}=${value}`)].join(" ");
  } catch (error) {
    return describeError(error);
  }
}

function database(given: Given): string {
  try {
    const { url, ...rest } = load(given).database;
    return [url(), ...Object.entries(rest).map(([key, value]) => `${key}=${value}`)].join(" ");
  } catch (error) {
    return describeError(error);
  }
}

const LAB = { PROXMOX_VE_ENDPOINT: "https://pve1:8006", PROXMOX_VE_API_TOKEN: TOKEN };

describe("the configuration", () => {
  it("is read from every variable of the environment", () => {
    const ca = { PROXMOX_VE_CA_FILE: "/ca.pem", PROXMOX_VE_FINGERPRINT: FINGERPRINT, PROXMOX_VE_INSECURE: "true" };
    expect(pve({ env: { ...LAB, ...ca }, files: { "/ca.pem": "CERT" } })).to.equal(
      `https://pve1:8006 ${TOKEN} insecure=true fingerprint=${FINGERPRINT} ca=CERT`,
    );
    const user = { PROXMOX_VE_USERNAME: "root@pam", PROXMOX_VE_PASSWORD: "hunter 2" };
    expect(pve({ env: { PROXMOX_VE_ENDPOINT: "pve1", ...user } })).to.equal(
      "https://pve1:8006 root@pam hunter 2 insecure=false",
    );
    const db = {
      DATABASE_URL: "postgres://db/x",
      DATABASE_PROVIDER: "postgresql",
      ENABLE_DB_LOGGING: "1",
      DB_LOG_LEVEL: "debug",
    };
    expect(database({ env: db })).to.equal("postgres://db/x logging=true provider=postgresql logLevel=debug");
    expect(database({})).to.equal("file:./proxmoor.db logging=false");
  });

  it("reads secrets from files when they are needed, so that they can be rotated", () => {
    const files: Record<string, string> = {
      "/token": `${TOKEN}\n`,
      "/password": " with blanks \r\n",
      "/url": "postgres://db/x\n",
    };
    const user = { PROXMOX_VE_USERNAME: "root@pam", PROXMOX_VE_PASSWORD_FILE: "/password" };
    const endpoint = { PROXMOX_VE_ENDPOINT: "pve1" };
    expect(pve({ env: { ...endpoint, PROXMOX_VE_API_TOKEN_FILE: "/token" }, files })).to.contain(` ${TOKEN} `);
    expect(pve({ env: { ...endpoint, ...user }, files })).to.contain("root@pam  with blanks  insecure");
    expect(database({ env: { DATABASE_URL_FILE: "/url" }, files })).to.contain("postgres://db/x ");
    const { auth } = requirePve(load({ env: { ...endpoint, PROXMOX_VE_API_TOKEN_FILE: "/token" }, files }));
    files["/token"] = "ops@pve!main=new";
    expect(auth.kind === "token" && auth.token()).to.equal("ops@pve!main=new");
  });

  it("prefers flags to the context file, and the context file to the environment", () => {
    const files = {
      [CONTEXTS]:
        "currentContext: lab\ncontexts: { lab: { endpoint: https://context, insecure: yes }, other: { endpoint: https://other } }",
    };
    const given = { env: { ...LAB, PROXMOX_VE_INSECURE: "false" }, files };
    const first = (text: string) => text.split(" ")[0];
    expect(first(pve({ ...given, flags: { endpoint: "https://flag" } }))).to.equal("https://flag");
    expect(pve(given)).to.equal(`https://context ${TOKEN} insecure=true`);
    expect(first(pve({ ...given, flags: { context: "other" } }))).to.equal("https://other");
    expect(first(pve({ env: LAB }))).to.equal("https://pve1:8006");
    expect(pve({ ...given, flags: { insecure: "false", endpoint: "" } }))
      .to.contain("https://context")
      .and.contain("insecure=false");
  });

  it("finds the context file where XDG or PROXMOOR_CONFIG say", () => {
    const files = {
      "/x/proxmoor/config.yaml": "currentContext: a\ncontexts: { a: { endpoint: https://xdg } }",
      "/mine.yaml": "currentContext: a\ncontexts: { a: { endpoint: https://mine } }",
    };
    const at = (env: ConfigInput["env"]) => pve({ env: { PROXMOX_VE_API_TOKEN: TOKEN, ...env }, files }).split(" ")[0];
    expect(at({ XDG_CONFIG_HOME: "/x" })).to.equal("https://xdg");
    expect(at({ XDG_CONFIG_HOME: "/x", PROXMOOR_CONFIG: "/mine.yaml" })).to.equal("https://mine");
    expect(pve({ env: { PROXMOOR_CONFIG: "/gone.yaml" } })).to.contain("/gone.yaml can't be read [CONFIG_INVALID]");
    expect(pve({ env: { ...LAB, PROXMOOR_CONFIG: "", XDG_CONFIG_HOME: "" } })).to.contain("https://pve1:8006");
  });

  it("does not send one cluster's token to another that has its own user", () => {
    const files = {
      [CONTEXTS]: "contexts: { lab: { endpoint: https://lab, username: ops@pve, password: of-the-lab } }",
    };
    expect(pve({ env: LAB, flags: { context: "lab" }, files })).to.equal(
      "https://lab ops@pve of-the-lab insecure=false",
    );
    expect(pve({ env: { ...LAB, PROXMOX_VE_USERNAME: "root@pam", PROXMOX_VE_PASSWORD: "x" } })).to.contain(TOKEN);
  });

  it("takes what stands in the context file as it stands", () => {
    const yaml = (password: string) =>
      `contexts:\n  lab:\n    endpoint: pve1\n    username: root@pam\n    password: ${password}\n`;
    const read = (password: string) => pve({ flags: { context: "lab" }, files: { [CONTEXTS]: yaml(password) } });
    expect(["012345", "1e3", "true", "'*star'", "~"].map(read)).to.deep.equal(
      ["012345", "1e3", "true", "*star", "~"].map((text) => `https://pve1:8006 root@pam ${text} insecure=false`),
    );
  });

  it("names both settings that contradict each other", () => {
    expect(pve({ env: { ...LAB, PROXMOX_VE_API_TOKEN_FILE: "/token" } })).to.equal(
      "PROXMOX_VE_API_TOKEN and PROXMOX_VE_API_TOKEN_FILE are both set [CONFIG_CONFLICT]\n  Keep one of them.",
    );
    const files = {
      [CONTEXTS]: "currentContext: a\ncontexts: { a: { endpoint: pve1, databaseUrl: x, databaseUrlFile: y } }",
    };
    expect(database({ files })).to.contain('context "a" (databaseUrl) and context "a" (databaseUrlFile) are both set');
    // of two places one wins
    const won = { [CONTEXTS]: "currentContext: a\ncontexts: { a: { apiTokenFile: /t } }", "/t": "a@b!c=d" };
    expect(pve({ env: LAB, files: won })).to.contain("a@b!c=d");
  });

  it("understands endpoints as people write them", () => {
    const at = (endpoint: string) => pve({ env: { ...LAB, PROXMOX_VE_ENDPOINT: endpoint } }).split(/ ops@| \[/)[0];
    const table = [
      "pve1",
      "pve1:8006",
      "pve1:443",
      "[fd00::1]",
      "[fd00::1]:443",
      "https://pve1",
      "https://pve1:8006/",
      "https://pve.example.org/api2/json",
      "http://pve1:8006",
      "ftp://pve1",
      "https://",
      "a b",
      "fd00::1",
    ];
    expect(Object.fromEntries(table.map((text) => [text, at(text)]))).to.deep.equal({
      pve1: "https://pve1:8006",
      "pve1:8006": "https://pve1:8006",
      "pve1:443": "https://pve1",
      "[fd00::1]": "https://[fd00::1]:8006",
      "[fd00::1]:443": "https://[fd00::1]",
      "https://pve1": "https://pve1",
      "https://pve1:8006/": "https://pve1:8006",
      "https://pve.example.org/api2/json": "https://pve.example.org",
      "http://pve1:8006": "the endpoint must be https, not http",
      "ftp://pve1": "the endpoint must be https, not ftp",
      "https://": "the endpoint is no URL",
      "a b": "the endpoint is no URL",
      "fd00::1": "the endpoint is no URL",
    });
  });

  it("says what is missing or wrong, and what to do", () => {
    const first = (given: Given) => pve(given).split("\n")[0];
    expect(first({})).to.equal("no PVE endpoint is set [CONFIG_MISSING]");
    expect(first({ env: { PROXMOX_VE_ENDPOINT: "pve1" } })).to.equal("no log-in for PVE is set [CONFIG_MISSING]");
    expect(first({ env: { PROXMOX_VE_ENDPOINT: "pve1", PROXMOX_VE_USERNAME: "root@pam" } })).to.equal(
      "no password is set for root@pam [CONFIG_MISSING]",
    );
    expect(
      first({ env: { PROXMOX_VE_ENDPOINT: "pve1", PROXMOX_VE_USERNAME: "root", PROXMOX_VE_PASSWORD: "x" } }),
    ).to.equal("PROXMOX_VE_USERNAME: the user has not the form user@realm [CONFIG_INVALID]");
    expect(first({ env: { ...LAB, PROXMOX_VE_INSECURE: "maybe" } })).to.equal(
      'PROXMOX_VE_INSECURE must be true or false, not "maybe" [CONFIG_INVALID]',
    );
    expect(first({ env: { ...LAB, PROXMOX_VE_FINGERPRINT: "AB:CD" } })).to.equal(
      "PROXMOX_VE_FINGERPRINT is no SHA-256 fingerprint [CONFIG_INVALID]",
    );
    expect(first({ env: { ...LAB, PROXMOX_VE_CA_FILE: "/none" } })).to.equal(
      "PROXMOX_VE_CA_FILE: /none can't be read [CONFIG_INVALID]",
    );
    expect(
      first({ env: { PROXMOX_VE_ENDPOINT: "pve1", PROXMOX_VE_API_TOKEN_FILE: "/t" }, files: { "/t": "\n" } }),
    ).to.equal("PROXMOX_VE_API_TOKEN_FILE: /t is empty [CONFIG_INVALID]");
    expect(database({ env: { DB_LOG_LEVEL: "loud" } })).to.contain('DB_LOG_LEVEL is "loud" [CONFIG_INVALID]');
    const files = { [CONTEXTS]: "contexts: { lab: { endpoint: pve1 }, home: { endpoint: pve2 } }" };
    for (const context of ["wrong", "constructor", "__proto__"])
      expect(pve({ flags: { context }, files })).to.equal(
        `there is no context "${context}" in ${CONTEXTS} [CONFIG_INVALID]\n  Contexts are home, lab.`,
      );
  });

  it("says what is wrong with the context file", () => {
    const of = (text: string) =>
      pve({ env: LAB, files: { [CONTEXTS]: text } })
        .split(" [")[0]
        ?.replace(`${CONTEXTS}: `, "");
    expect(
      [
        "[]",
        "context: lab",
        "contexts: []",
        "contexts: { lab: pve1 }",
        "contexts: { lab: { tokn: x } }",
        "currentContext: []",
        "a: b: c",
        "a: 1\na: 2",
        "",
        "contexts:",
      ].map(of),
    ).to.deep.equal([
      "must be a map with currentContext and contexts",
      'unknown key "context"; allowed are currentContext and contexts',
      "contexts must be a map of names to settings",
      'context "lab" must be a map of settings',
      'context "lab": unknown key "tokn"; allowed are endpoint, apiToken, apiTokenFile, username, password, passwordFile, caFile, fingerprint, insecure, databaseUrl, databaseUrlFile, databaseProvider',
      "currentContext must be the name of a context",
      "not valid YAML at line 1, column 4; quote values that start or end with a special character",
      "not valid YAML at line 2, column 1; quote values that start or end with a special character",
      `https://pve1:8006 ${TOKEN} insecure=false`,
      `https://pve1:8006 ${TOKEN} insecure=false`,
    ]);
  });

  it("never shows a secret, whatever is wrong with it", () => {
    const secret = "planted-secret";
    const givens: Given[] = [
      { env: { PROXMOX_VE_ENDPOINT: `https://root:${secret}@pve1:8006`, PROXMOX_VE_API_TOKEN: TOKEN } },
      { env: { PROXMOX_VE_ENDPOINT: `https://root:${secret}@pve1:99999`, PROXMOX_VE_API_TOKEN: TOKEN } },
      { env: { PROXMOX_VE_ENDPOINT: "pve1", PROXMOX_VE_API_TOKEN: `root@pam:${secret}` } },
      { env: { PROXMOX_VE_ENDPOINT: "pve1", PROXMOX_VE_USERNAME: "root", PROXMOX_VE_PASSWORD: secret } },
      { env: { ...LAB, PROXMOX_VE_API_TOKEN_FILE: "/x" } },
      ...["*", "!", "&", "%", "@", "`", "{", "[", "a: ", '"', "'", "|", ">"].map((start) => ({
        env: LAB,
        files: {
          [CONTEXTS]: `currentContext: lab\ncontexts:\n  lab:\n    endpoint: pve1\n    username: a@b\n    password: ${start}${secret}\n`,
        },
      })),
    ];
    for (const given of givens) {
      const error = thrownBy(given);
      if (error === undefined) continue;
      expect(error).to.be.instanceOf(ProxmoorError);
      expect(everythingOf(error), JSON.stringify(given)).to.not.contain(secret);
    }
    expect(JSON.stringify(load({ env: LAB }))).to.not.contain(secret);
    expect(JSON.stringify(requirePve(load({ env: LAB })))).to.not.contain(secret);
  });
});

function thrownBy(given: Given): unknown {
  try {
    const { auth } = requirePve(load(given));
    if (auth.kind === "token") auth.token();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Message, remedy and every property, through all causes. */
function everythingOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.getOwnPropertyNames(error).map((name) => JSON.stringify(Reflect.get(error, name)));
  return [error.message, ...own, error.cause === undefined ? "" : everythingOf(error.cause)].join("\n");
}
