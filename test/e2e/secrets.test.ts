import { expect } from "chai";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { openLab, type Lab } from "../support/lab.js";

/** Every file below a folder, with its bytes. */
async function filesOf(folder: string): Promise<{ name: string; bytes: Buffer }[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((one) => one.isFile()).map((one) => path.join(one.parentPath, one.name));
  return Promise.all(files.map(async (name) => ({ name, bytes: await readFile(name) })));
}

describe("secrets", () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await openLab();
  });
  afterEach(() => lab.close());

  it("stay out of output, errors and the database, whatever is done", async () => {
    const token = lab.env["PROXMOX_VE_API_TOKEN"] ?? "";
    const secret = token.split("=")[1] ?? "";
    expect(secret).to.have.length.above(20);
    const wrong = { PROXMOX_VE_API_TOKEN: "proxmoor@pve!main=deadbeef-0000-4000-8000-planted00000" };
    const calls: readonly (readonly [readonly string[], Record<string, string>])[] = [
      [["apply", "-f", "manifests", "-o", "json"], {}],
      [["apply", "-f", "manifests", "--dry-run"], {}],
      [["describe", "vm/web-01", "-o", "json"], {}],
      [["get", "tasks", "-o", "json"], { ENABLE_DB_LOGGING: "true", DB_LOG_LEVEL: "debug" }],
      [["get", "vms", "-o", "yaml"], {}],
      [["get", "nodes"], wrong],
      [["get", "nodes"], { PROXMOX_VE_FINGERPRINT: "00".repeat(32) }],
      [["get", "nodes"], { PROXMOX_VE_API_TOKEN: "malformed-planted-secret" }],
      [
        ["get", "nodes"],
        { PROXMOX_VE_API_TOKEN: "", PROXMOX_VE_USERNAME: "root@pam", PROXMOX_VE_PASSWORD: "planted-password" },
      ],
      [["get", "nodes"], { DATABASE_URL: "postgresql://me:planted-db-password@127.0.0.1:1/x" }],
    ];
    for (const [args, env] of calls) {
      const { out, err } = await lab.call(args, { env });
      for (const planted of [secret, "planted"]) expect(`${out}${err}`, args.join(" ")).to.not.contain(planted);
    }
    for (const { name, bytes } of await filesOf(lab.folder)) {
      // the simulated PVE keeps its own users and tokens, as PVE does
      if (path.basename(name).startsWith("cluster.json")) continue;
      for (const planted of [secret, "planted"])
        expect(bytes.includes(planted), `${planted} in ${name}`).to.equal(false);
    }
  }).timeout(120_000);

  it("are refused by value in a manifest, without being repeated", async () => {
    await writeFile(
      path.join(lab.manifests, "secret.yaml"),
      "apiVersion: proxmoor.dev/v1\nkind: VirtualMachine\nmetadata: { name: s }\nspec: { node: pve1, extraConfig: { cipassword: planted-by-value } }\n",
    );
    const { code, err } = await lab.call(["apply", "-f", "manifests"]);
    expect(code).to.equal(2);
    expect(err).to.contain("cipassword").and.to.not.contain("planted-by-value");
  });
});
