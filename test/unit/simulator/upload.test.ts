import { createHash } from "node:crypto";
import { expect } from "chai";
import { createSimulator, type Simulator } from "../../../src/simulator/index.js";
import { send, type Received } from "./wire.js";

const BOUNDARY = "----boundary-of-a-browser";
const CONTENT = "CD001 \r\n--not the end\r\n and more";
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");

interface Upload {
  readonly storage?: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly filename?: string;
  readonly as?: string;
}

describe("simulator: uploads over HTTPS", () => {
  let simulator: Simulator;
  let token: string;
  before(async () => {
    simulator = await createSimulator({ profile: "conformance", taskDuration: () => 0 });
    ({ token } = simulator.credentials);
  });
  after(() => simulator.stop());

  const post = ({ storage = "isos", fields, filename, as = token }: Upload): Promise<Received> => {
    const parts = Object.entries(fields).map(
      ([name, value]) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    if (filename !== undefined)
      parts.push(
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="filename"; filename="${filename}"\r\n` +
          `Content-Type: application/octet-stream\r\n\r\n${CONTENT}\r\n`,
      );
    const headers = { "content-type": `multipart/form-data; boundary=${BOUNDARY}` };
    const body = `${parts.join("")}--${BOUNDARY}--\r\n`;
    return send(simulator, {
      method: "POST",
      path: `/nodes/pve1/storage/${storage}/upload`,
      token: as,
      headers,
      body,
    });
  };

  /** The end of the task and its log, or the refusal. */
  const told = async (upload: Upload): Promise<string> => {
    const { status, reason, text, json } = await post(upload);
    if (status !== 200) {
      const { errors } = text.startsWith("{") ? json() : {};
      return `${status} ${errors === undefined ? reason : JSON.stringify(errors)}`;
    }
    const path = `/nodes/pve1/tasks/${encodeURIComponent(String(json().data))}/log`;
    const log = (await simulator.as().call("GET", path)) as { t: string }[];
    return log.map(({ t }) => t.replace(/pveupload-[0-9a-f]+/g, "pveupload-HEX")).join("\n");
  };

  it("bring a file to its place, byte for byte", async () => {
    const sums = { "checksum-algorithm": "sha256", checksum: SHA256 };
    expect(await told({ fields: { content: "iso", ...sums }, filename: "my disc.iso" })).to.equal(
      [
        "starting file import from: /var/tmp/pveupload-HEX",
        "calculating checksum...",
        "OK, checksum verified",
        "target node: pve1",
        "target file: /srv/pve/isos/template/iso/my_disc.iso",
        `file size is: ${CONTENT.length}`,
        "command: cp -- /var/tmp/pveupload-HEX /srv/pve/isos/template/iso/my_disc.iso",
        "finished file import successfully",
        "TASK OK",
      ].join("\n"),
    );
    const found = await simulator.as().call("GET", "/nodes/pve1/storage/isos/content", { content: "iso" });
    const row = (found as { volid: string; size: number }[]).find(({ volid }) => volid === "isos:iso/my_disc.iso");
    expect(row?.size).to.equal(CONTENT.length);
  });

  it("overwrite a file of the name", async () => {
    await told({ fields: { content: "iso" }, filename: "twice.iso" });
    await told({ fields: { content: "iso" }, filename: "twice.iso" });
    const rows = (await simulator.as().call("GET", "/nodes/pve1/storage/isos/content")) as { volid: string }[];
    expect(rows.filter(({ volid }) => volid === "isos:iso/twice.iso")).to.have.length(1);
  });

  const wrong = "0".repeat(64);
  const refusals: readonly (readonly [string, Upload, string])[] = [
    [
      "no file",
      { fields: { content: "iso" } },
      "500 upload failed at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 1370.",
    ],
    ["no content", { fields: {}, filename: "a.iso" }, '400 {"content":"property is missing and it is not optional"}'],
    ["another ending", { fields: { content: "iso" }, filename: "a.txt" }, '400 {"filename":"wrong file extension"}'],
    [
      "a checksum alone",
      { fields: { content: "iso", checksum: wrong }, filename: "a.iso" },
      `400 {"checksum-algorithm":"missing property required by 'checksum'"}`,
    ],
    [
      "a storage for other things",
      { storage: "data", fields: { content: "iso" }, filename: "a.iso" },
      "500 storage 'data' does not support 'iso' content",
    ],
    [
      "a storage that is off",
      { storage: "spare", fields: { content: "iso" }, filename: "a.iso" },
      "500 storage 'spare' is disabled",
    ],
    [
      "no right to it",
      { fields: { content: "iso" }, filename: "a.iso", as: "READONLY" },
      "403 Permission check failed (/storage/isos, Datastore.AllocateTemplate)",
    ],
  ];
  for (const [name, upload, expected] of refusals)
    it(`refused: ${name}`, async () => {
      const as = upload.as === undefined ? {} : { as: simulator.credentials.readOnlyToken };
      expect(await told({ ...upload, ...as })).to.equal(expected);
    });

  it("fail in the task where the checksum is another, and leave nothing", async () => {
    const fields = { content: "iso", "checksum-algorithm": "sha256", checksum: wrong };
    expect(await told({ fields, filename: "broken.iso" })).to.match(
      new RegExp(`TASK ERROR: checksum mismatch: got '${SHA256}' != expect '${wrong}'$`),
    );
    const rows = (await simulator.as().call("GET", "/nodes/pve1/storage/isos/content")) as { volid: string }[];
    expect(rows.map(({ volid }) => volid)).not.to.include("isos:iso/broken.iso");
  });
});
