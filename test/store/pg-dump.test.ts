import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { pgDump } from "../../src/store/pg-dump.js";

/** Stands in for pg_dump: the real one may be missing here, or older than the server. */
const FAKE = `#!/bin/sh
for arg in "$@"; do
  case "$arg" in
    --file=*) target="\${arg#--file=}" ;;
    --dbname=*) passfile=$(echo "$arg" | sed "s/.*passfile='\\([^']*\\)'.*/\\1/") ;;
  esac
done
{ printf '%s\\n' "$@"; stat -c %a "$passfile"; cat "$passfile"; } > "$target"
`;

describe("pg_dump", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "proxmoor-fake-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function dump(script: string | undefined): Promise<string | undefined> {
    const program = join(folder, "pg_dump");
    if (script !== undefined) {
      await writeFile(program, script);
      await chmod(program, 0o755);
    }
    const connection = { host: "127.0.0.1", user: "it's" };
    const settings = { folder, connection, password: "hunter2:\\", schema: "moor" };
    return pgDump(settings, ["vms", "tasks"], join(folder, "out"));
  }

  it("gets the password by a file that only the owner reads, never as an argument", async () => {
    expect(await dump(FAKE)).equal(undefined);
    const lines = (await readFile(join(folder, "out"), "utf8")).replaceAll(/passfile='[^']*'/g, "passfile='FILE'");
    expect(lines.replaceAll(folder, "FOLDER")).equal(
      [
        "--dbname=host='127.0.0.1' user='it\\'s' passfile='FILE'",
        "--no-password",
        "--no-owner",
        "--no-privileges",
        '--table="moor"."vms"',
        '--table="moor"."tasks"',
        "--file=FOLDER/out",
        "600",
        "*:*:*:*:hunter2\\:\\\\",
        "",
      ].join("\n"),
    );
  });

  it("says why it could not", async () => {
    expect(await dump("#!/bin/sh\necho 'pg_dump: error: server version mismatch' >&2\nexit 1\n")).equal(
      "pg_dump: error: server version mismatch",
    );
    expect(await dump("#!/bin/sh\nexit 3\n")).match(/pg_dump: 3$/);
  });

  it("says that it is missing", async () => {
    expect(await dump(undefined)).match(/ENOENT/);
  });
});
