import { createHash } from "node:crypto";
import type { Call } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import { partsOf } from "../../table/check.js";
import { isDriveKey } from "./drives.js";
import { checkDriveOptions } from "./disks.js";
import { completeNet, isNetKey } from "./nets.js";

const SSH_KEY = /^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/=]+( .*)?$/;
const HASHED = /^\$(?:[156]|2[ay]|y)(\$.+){2}/;

/** The config keys of a create or update call, in PVE's own writing; every fault is found before a change. */
export function prepareKeys(call: Call, params: Readonly<Record<string, string>>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [key, value] of Object.entries(params)) {
    if (key === "cdrom") continue;
    if (isDriveKey(key)) checkDriveOptions(key, value);
    out[key] = prepareOne(call, key, value);
  }
  const cdrom = params["cdrom"];
  if (cdrom !== undefined) out["ide2"] = /,media=/.test(cdrom) ? cdrom : `${cdrom},media=cdrom`;
  return out;
}

function prepareOne(call: Call, key: string, value: string): string {
  if (isNetKey(key)) return completeNet(call, value);
  if (key === "cipassword" && !HASHED.test(value)) return hashLikePve(call, value);
  if (key === "vmgenid" && value === "1") return call.world.random.uuid();
  if (key === "sshkeys") checkKeys(value);
  if (key === "machine") checkMachine(value);
  return value;
}

/** Looks like PVE's SHA-256 crypt; nothing in the simulator ever checks it. */
function hashLikePve(call: Call, password: string): string {
  const salt = call.world.random.hex(8);
  const digest = createHash("sha256").update(`${salt}$${password}`).digest("base64url").slice(0, 43);
  return `$5$${salt}$${digest}`;
}

function checkKeys(encoded: string): void {
  const lines = decodeURIComponent(encoded)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (!lines.every((line) => SSH_KEY.test(line))) fail("SSH public key validation error");
}

/** An Intel vIOMMU exists on q35 only. */
function checkMachine(value: string): void {
  const machine = partsOf(value, "machine");
  const q35 = /q35/.test(machine["type"] ?? "");
  if (machine["viommu"] === "intel" && !q35) fail("to use Intel vIOMMU please set the machine type to q35");
}

/** PVE's check of a hook script: a snippet that is there and may be run. */
export function checkHookscript(call: Call, volid: string): void {
  const volume = call.state.volumes.find((v) => v.volid === volid && (v.node === undefined || v.node === call.node));
  if (!/^[^:]+:snippets\//.test(volid)) refuse({ hookscript: `'${volid}' is not in the snippets directory\n` });
  if (volume === undefined) refuse({ hookscript: `script '${volid}' does not exist\n` });
  if (volume.holds?.["executable"] !== "1") refuse({ hookscript: `script '${volid}' is not executable\n` });
}
