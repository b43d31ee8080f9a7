import { mkdir, mkdtemp, rename, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { DirectorySource } from "../../../src/controller/directory-source.js";
import { refKey } from "../../../src/model/ref.js";
import { vm } from "../apply/manifests.js";

describe("a directory of manifests", () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function watched(recursive = false) {
    const folder = await mkdtemp(path.join(tmpdir(), "proxmoor-source-"));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));
    const source = new DirectorySource([folder], { recursive, covers: () => true });
    let isDirty = false;
    const stop = await source.watch(() => (isDirty = true));
    cleanups.push(stop);
    const file = (name: string) => path.join(folder, name);
    const read = async () => {
      isDirty = false;
      const { desired, faults, complete } = await source.read();
      const names = desired.guests.map((guest) => `${refKey(guest.ref)} ${guest.power}`);
      return [...names, ...faults.map((fault) => fault.code), complete ? "whole" : "not whole"].join(", ");
    };
    /** Waits until the watcher has told and the folder reads as wanted. */
    const until = async (wanted: string) => {
      let seen = "";
      for (let tries = 0; tries < 300; tries++) {
        if (isDirty && (seen = await read()) === wanted) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error(`the watcher did not tell of ${wanted}; last was ${seen === "" ? "nothing" : seen}`);
    };
    return { folder, file, read, until };
  }

  it("tells of files that are made, edited and deleted", async () => {
    const { file, until } = await watched();
    await writeFile(file("a.yaml"), vm("a"));
    await until("vm/a running, whole");
    await writeFile(file("b.yaml"), vm("b", "power: stopped"));
    await until("vm/a running, vm/b stopped, whole");
    await writeFile(file("a.yaml"), vm("a", "power: stopped"));
    await until("vm/a stopped, vm/b stopped, whole");
    await unlink(file("a.yaml"));
    await until("vm/b stopped, whole");
  });

  it("tells of editors that save beside and rename, more than once", async () => {
    const { file, until } = await watched();
    await writeFile(file("a.yaml"), vm("a"));
    await until("vm/a running, whole");
    for (const power of ["stopped", "running", "stopped"]) {
      await writeFile(file("a.yaml.tmp"), vm("a", `power: ${power}`));
      await rename(file("a.yaml.tmp"), file("a.yaml"));
      await until(`vm/a ${power}, whole`);
    }
    await rename(file("a.yaml"), file("b.yaml"));
    await until("vm/a stopped, whole");
  });

  it("reads a half-written file as broken, and the whole one afterwards", async () => {
    const { file, until } = await watched();
    await writeFile(file("b.yaml"), vm("b"));
    const whole = vm("a").replace("spec: {", 'spec: { description: "the shop",');
    await writeFile(file("a.yaml"), whole.slice(0, whole.indexOf("shop")));
    await until("vm/b running, MANIFEST_SYNTAX, whole");
    await writeFile(file("a.yaml"), whole);
    await until("vm/a running, vm/b running, whole");
  });

  it("takes an emptied or removed folder for unknown, not for nothing declared; and sees it come back", async () => {
    const { folder, file, until } = await watched();
    await writeFile(file("a.yaml"), vm("a"));
    await until("vm/a running, whole");
    await unlink(file("a.yaml"));
    await until("MANIFEST_EMPTY, not whole");
    await rm(folder, { recursive: true });
    await until("MANIFEST_UNREADABLE, not whole");
    await mkdir(folder);
    await writeFile(file("a.yaml"), vm("a"));
    await until("vm/a running, whole");
  });

  it("looks into subfolders only where it is told to", async () => {
    for (const [recursive, wanted] of [
      [true, "vm/a running, vm/b stopped, whole"],
      [false, "vm/a running, whole"],
    ] as const) {
      const { file, until } = await watched(recursive);
      await mkdir(file("sub"));
      await writeFile(file("sub/b.yaml"), vm("b", "power: stopped"));
      await writeFile(file("a.yaml"), vm("a"));
      await until(wanted);
    }
  });
});
