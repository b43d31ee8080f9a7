import { expect } from "chai";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { makeFolder } from "../../src/store/folders.js";

describe("making a folder", () => {
  it("makes those above it too, and is content with one that is there", async () => {
    const root = await mkdtemp(path.join(tmpdir(), "proxmoor-folders-"));
    const folder = path.join(root, "a", "b", "c");
    await makeFolder(folder);
    await makeFolder(folder);
    expect((await stat(folder)).mode & 0o777).to.equal(0o700);
    await rm(root, { recursive: true });
  });

  it("ends with an error where the file system makes none", async function () {
    if (process.platform !== "linux") this.skip();
    const error = await makeFolder("/proc/proxmoor/x").then(
      () => undefined,
      (thrown: unknown) => thrown as NodeJS.ErrnoException,
    );
    expect(error?.code).to.equal("ENOENT");
  });
});
