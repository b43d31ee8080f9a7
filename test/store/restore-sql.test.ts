import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { restore } from "../../src/store/index.js";
import { describeStore, NOW } from "../support/database.js";

/** Stands in for psql, which may be missing here: notes how it was called and what its files hold. */
const FAKE = `#!/bin/sh
for arg in "$@"; do
  case "$arg" in
    --file=*) cat "\${arg#--file=}" >> "$0.sql" ;;
    --dbname=*) ;;
    *) echo "$arg" >> "$0.args" ;;
  esac
done
if [ -e "$0.refusal" ]; then cat "$0.refusal" >&2; exit 3; fi
`;

const DUMP = "--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n\n--\n-- PostgreSQL database dump complete\n--\n";

describeStore(
  "A backup that pg_dump wrote",
  (database) => {
    const path = process.env["PATH"];
    afterEach(() => {
      process.env["PATH"] = path;
    });

    async function prepare(dump: string) {
      const db = await database();
      await (await db.open()).close();
      const programs = join(db.folder, "programs");
      await mkdir(programs);
      const program = join(programs, "psql");
      await writeFile(program, FAKE);
      await chmod(program, 0o755);
      process.env["PATH"] = `${programs}:${path ?? ""}`;
      const file = join(db.folder, "proxmoor.sql");
      await writeFile(file, dump);
      const run = () => restore({ ...db.settings, schema: "moor" } as typeof db.settings, file, { now: () => NOW });
      return { db, program, run };
    }

    it("is run by psql, in one transaction, after the tables that were there", async () => {
      const { program, run } = await prepare(DUMP);
      expect(await run()).deep.equal({ checksums: [] });
      expect(await readFile(`${program}.args`, "utf8")).equal(
        "--no-password\n--no-psqlrc\n--quiet\n--single-transaction\n--set=ON_ERROR_STOP=1\n",
      );
      const sql = await readFile(`${program}.sql`, "utf8");
      expect(sql).match(/^SET search_path = "moor";\nDROP TABLE IF EXISTS "nodes" CASCADE;\n[^]*proxmoor_migrations/);
      expect(sql.endsWith(DUMP)).equal(true);
    });

    it("is refused in psql's words, and where it is not whole", async () => {
      const { program, run } = await prepare(DUMP);
      await writeFile(`${program}.refusal`, "psql: error: no\n");
      const error: unknown = await run().catch((e: unknown) => e);
      expect(error).deep.include({ code: "DB_BACKUP" });
      expect(String(error)).match(/The backup can't be used: psql: error: no/);
      const cut = await prepare(DUMP.slice(0, 60));
      expect(String(await cut.run().catch((e: unknown) => e))).match(/it is not whole/);
    });
  },
  ["postgresql"],
);
