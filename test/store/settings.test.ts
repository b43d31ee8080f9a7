import { expect } from "chai";
import { ProxmoorError, describeError } from "../../src/model/errors.js";
import { parseDatabaseUrl } from "../../src/store/index.js";

function parse(url: string, provider?: string): string {
  try {
    return JSON.stringify(parseDatabaseUrl(url, provider));
  } catch (error) {
    if (!(error instanceof ProxmoorError)) throw error;
    expect(describeError(error), "a password must be in no message").not.contain("hunter2");
    expect(error.cause).equal(undefined);
    return `${error.code}: ${error.message}`;
  }
}

describe("parseDatabaseUrl", () => {
  const cases: [url: string, provider: string | undefined, result: string][] = [
    ["file:./proxmoor.db", undefined, '{"provider":"sqlite","file":"./proxmoor.db"}'],
    ["file:/var/lib/p%20x.db", "sqlite", '{"provider":"sqlite","file":"/var/lib/p x.db"}'],
    ["file:///var/lib/p.db", undefined, '{"provider":"sqlite","file":"/var/lib/p.db"}'],
    ["file:100%.db", undefined, '{"provider":"sqlite","file":"100%.db"}'],
    ["sqlite::memory:", undefined, '{"provider":"sqlite","file":":memory:"}'],
    ["file:", undefined, "DB_CONFIG: DATABASE_URL names no file"],
    [
      "file:a.db?mode=ro",
      undefined,
      "DB_CONFIG: DATABASE_URL has parameters after the file's path, which mean nothing here",
    ],
    ["proxmoor.db", undefined, "DB_CONFIG: DATABASE_URL is neither file:PATH nor postgresql://…"],
    ["postgresql://u:hunter2@db/p", undefined, '{"provider":"postgresql","url":"postgresql://u:hunter2@db/p"}'],
    [
      "postgres://u:hunter2@db:5433/p?schema=moor&pool_size=5&sslmode=verify-full&sslrootcert=/ca.pem",
      "postgresql",
      '{"provider":"postgresql","url":"postgres://u:hunter2@db:5433/p","schema":"moor","poolSize":5,' +
        '"tls":{"mode":"verify-full","caFile":"/ca.pem"}}',
    ],
    [
      "postgresql://u:hunter2@db/p?sslmode=disable",
      undefined,
      '{"provider":"postgresql","url":"postgresql://u:hunter2@db/p"}',
    ],
    ["postgresql://u:hunter2@db/p?sslmode=prefer", undefined, "DB_CONFIG: DATABASE_URL has sslmode=prefer"],
    [
      "postgresql://u:hunter2@db/p?sslcert=/c.pem",
      undefined,
      "CONFIG_CONFLICT: DATABASE_URL has sslrootcert, sslcert or sslkey, but no sslmode",
    ],
    ["postgresql://u:hunter2@db/p?pool_size=1", undefined, 'DB_CONFIG: The pool size is "1"'],
    [
      "postgresql://u:hunter2@db/p?who=me",
      undefined,
      "DB_CONFIG: DATABASE_URL has the parameter who, which is not known",
    ],
    ["postgresql://u:hunter2@db", undefined, "DB_CONFIG: DATABASE_URL names no database"],
    ["postgresql://u:hunter2@db:port/p", undefined, "DB_CONFIG: DATABASE_URL is not a valid URL"],
    ["postgresql://u:hunter2@db/p", "mysql", 'DB_CONFIG: DATABASE_PROVIDER is "mysql"'],
    [
      "postgresql://u:hunter2@db/p",
      "sqlite",
      "CONFIG_CONFLICT: DATABASE_PROVIDER is sqlite, but DATABASE_URL names a postgresql database",
    ],
    [
      "file:p.db",
      "postgresql",
      "CONFIG_CONFLICT: DATABASE_PROVIDER is postgresql, but DATABASE_URL names a sqlite database",
    ],
  ];
  for (const [url, provider, result] of cases) {
    it(`${url}${provider === undefined ? "" : ` as ${provider}`}`, () => {
      expect(parse(url, provider)).equal(result);
    });
  }
});
