import { expect } from "chai";
import { QueryFailedError } from "typeorm";
import { ProxmoorError } from "../../src/model/errors.js";
import { isStoreFault, storeError } from "../../src/store/errors.js";

function driverError(code: string, message: string, more: object = {}): Error {
  return Object.assign(new Error(message), { code, ...more });
}

describe("Errors of the drivers", () => {
  const cases: [code: string, message: string, result: string][] = [
    ["SQLITE_BUSY", "SQLITE_BUSY: database is locked", "DB_LOCKED later"],
    ["SQLITE_LOCKED", "SQLITE_LOCKED: database table is locked", "DB_LOCKED later"],
    ["SQLITE_READONLY", "SQLITE_READONLY: attempt to write a readonly database", "DB_READ_ONLY never"],
    ["SQLITE_CORRUPT", "SQLITE_CORRUPT: database disk image is malformed", "DB_CORRUPT never"],
    ["SQLITE_NOTADB", "SQLITE_NOTADB: file is not a database", "DB_CORRUPT never"],
    ["SQLITE_FULL", "SQLITE_FULL: database or disk is full", "DB_FULL later"],
    ["SQLITE_CANTOPEN", "SQLITE_CANTOPEN: unable to open database file", "DB_UNREACHABLE never"],
    ["SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT: UNIQUE constraint failed: tasks.upid", "DB_DUPLICATE never"],
    ["SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT: FOREIGN KEY constraint failed", "DB_FOREIGN_KEY never"],
    ["SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT: NOT NULL constraint failed: vms.status", "DB_ERROR never"],
    ["SQLITE_ERROR", "SQLITE_ERROR: no such table: x", "DB_ERROR never"],
    ["EACCES", "EACCES: permission denied, open 'x.db'", "DB_UNREACHABLE never"],
    ["EROFS", "EROFS: read-only file system, open 'x.db'", "DB_READ_ONLY never"],
    ["ENOSPC", "ENOSPC: no space left on device, write", "DB_FULL later"],
    ["23505", "duplicate key value violates unique constraint", "DB_DUPLICATE never"],
    ["23503", "insert or update violates foreign key constraint", "DB_FOREIGN_KEY never"],
    ["25006", "cannot execute INSERT in a read-only transaction", "DB_READ_ONLY never"],
    ["28P01", 'password authentication failed for user "u"', "DB_AUTH never"],
    ["28000", "no pg_hba.conf entry for host", "DB_AUTH never"],
    ["3D000", 'database "p" does not exist', "DB_UNREACHABLE never"],
    ["40001", "could not serialize access", "DB_CONFLICT later"],
    ["40P01", "deadlock detected", "DB_CONFLICT later"],
    ["53100", "could not extend file: No space left on device", "DB_FULL later"],
    ["53300", "sorry, too many clients already", "DB_UNREACHABLE later"],
    ["55P03", "canceling statement due to lock timeout", "DB_LOCKED later"],
    ["57014", "canceling statement due to user request", "DB_ERROR later"],
    ["57P01", "terminating connection due to administrator command", "DB_UNREACHABLE later"],
    ["08006", "connection failure", "DB_UNREACHABLE later"],
    ["XX001", "invalid page in block 0", "DB_CORRUPT never"],
    ["ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1", "DB_UNREACHABLE later"],
    ["ENOTFOUND", "getaddrinfo ENOTFOUND db", "DB_UNREACHABLE later"],
    ["", "Connection terminated unexpectedly", "DB_UNREACHABLE later"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate in certificate chain", "DB_UNREACHABLE never"],
    ["CERT_HAS_EXPIRED", "certificate has expired", "DB_UNREACHABLE never"],
    ["42P01", 'relation "x" does not exist', "DB_ERROR never"],
  ];
  for (const [code, message, result] of cases) {
    it(`${code || "no code"}: ${message}`, () => {
      const error = storeError(new QueryFailedError("SELECT $1", ["hunter2"], driverError(code, message)), "db");
      expect(`${error.code} ${error.retry}`).equal(result);
      expect(error.message).contain(message);
      expect(isStoreFault(driverError(code, message))).equal(true);
    });
  }

  it("names the key, and holds neither statement nor parameters", () => {
    const driver = driverError("23505", "duplicate key", { detail: "Key (vmid)=(100) already exists." });
    const error = storeError(new QueryFailedError("INSERT $1", ["hunter2"], driver));
    expect(error.message).equal("A row with this key exists already: Key (vmid)=(100) already exists.");
    expect(JSON.stringify([error, error.cause, Object.values(error.cause as object)])).not.contain("hunter2");
  });

  it("leaves what is no fault of the database alone", () => {
    const own = new ProxmoorError("DB_NOT_FOUND", "There is no task 1");
    expect(storeError(own)).equal(own);
    expect(isStoreFault(new TypeError("x is undefined"))).equal(false);
    expect(isStoreFault("text")).equal(false);
    expect(storeError("text").message).equal("The database answered with an error: text");
  });

  it("takes the code where Node gives no message", () => {
    const refused = Object.assign(new AggregateError([], ""), { code: "ECONNREFUSED" });
    expect(storeError(refused).message).equal("The database could not be reached: ECONNREFUSED");
  });
});
