import { expect } from "chai";
import { describeStore } from "../support/database.js";
import { openLab } from "../support/lab.js";

describeStore("the main job, kept in a database", (database) => {
  it("converges, prunes, and shows the same whatever the database", async () => {
    const { settings } = await database();
    const databaseUrl = settings.provider === "postgresql" ? settings.url : `file:${settings.file}`;
    const lab = await openLab({ databaseUrl });
    try {
      const applied = await lab.call(["apply", "-f", "manifests"]);
      expect(applied.code, applied.out + applied.err).to.equal(0);
      expect((await lab.call(["diff", "-f", "manifests"])).code).to.equal(0);
      expect((await lab.call(["get", "resources", "-o", "name"])).out).to.equal(
        "ct/cache-01\nct/dns-01\nvm/db-01\nvm/web-01\n",
      );
      const tasks = JSON.parse((await lab.call(["get", "tasks", "-o", "json"])).out) as { items: { status: string }[] };
      expect(tasks.items.map((one) => one.status))
        .to.include("OK")
        .and.to.not.include("running");
      const deleted = await lab.call(["delete", "-f", "manifests", "--yes"]);
      expect(deleted.code, deleted.out + deleted.err).to.equal(0);
      expect((await lab.call(["get", "resources", "-o", "name"])).out).to.equal("");
    } finally {
      await lab.close();
    }
  });
});
