import type { StepRequest } from "../apply/types.js";
import { ProxmoorError } from "../model/errors.js";
import { assertNever } from "../model/assert-never.js";
import type { ObservedGuest } from "../observed/types.js";
import type { Step } from "../plan/types.js";
import { encode } from "./codec/encode.js";
import { identityMarker } from "./codec/identity.js";
import { formatDiskSize } from "./codec/values.js";
import { guestPath, guestsPath } from "./wire.js";

/** How long a guest may take to shut down by itself, seconds; PVE's own default, said aloud. */
const SHUTDOWN_SECONDS = 60;

const SECRETS = new Set(["cipassword", "password"]);

/**
 * The one request of a step, secrets in clear. undefined for a configuration that would change nothing: PVE refuses
 * an empty one [qemuconfig/put.nothing].
 */
export function requestOf(step: Step, base: ObservedGuest | undefined): StepRequest | undefined {
  const path = guestPath(step.target);
  switch (step.op) {
    case "create":
      return createRequest(step);
    case "clone":
      return cloneRequest(step);
    case "configure":
      return configureRequest(step, base);
    case "resize":
      return put(`${path}/resize`, { disk: step.disk, size: formatDiskSize(step.size), ...digestOf(base) });
    case "start":
      return post(`${path}/status/start`);
    case "shutdown":
      return post(`${path}/status/shutdown`, {
        timeout: String(step.timeout ?? SHUTDOWN_SECONDS),
        ...(step.force === true && { forceStop: "1" }),
      });
    case "stop":
      return post(`${path}/status/stop`);
    case "reboot":
      return post(`${path}/status/reboot`, { timeout: String(step.timeout ?? SHUTDOWN_SECONDS) });
    case "migrate":
      return migrateRequest(step);
    case "destroy":
      return { method: "DELETE", path, params: { purge: "1", "destroy-unreferenced-disks": "0" } };
    default:
      return assertNever(step);
  }
}

/** The request with every secret replaced, for people and the tasks table. */
export function masked(request: StepRequest): StepRequest {
  const params = Object.entries(request.params).map(([key, value]) => [key, SECRETS.has(key) ? "***" : value]);
  return { ...request, params: Object.fromEntries(params) as Record<string, string> };
}

function post(path: string, params: Record<string, string> = {}): StepRequest {
  return { method: "POST", path, params };
}

function put(path: string, params: Record<string, string>): StepRequest {
  return { method: "PUT", path, params };
}

function digestOf(base: ObservedGuest | undefined): Record<string, string> {
  return base === undefined || base.digest === "" ? {} : { digest: base.digest };
}

function createRequest(step: Extract<Step, { op: "create" }>): StepRequest {
  const { kind, vmid, identity } = step.target;
  const changes = Object.entries(step.fields).map(([path, to]) => ({ path, to }));
  const { set } = encode({ kind, config: {}, changes, identity });
  const params: Record<string, string> = { vmid: String(vmid), ...set };
  if (kind === "Container") {
    if (step.template === undefined) {
      throw new ProxmoorError("INTERNAL", "a container is made from a template, and none was given");
    }
    params["ostemplate"] = step.template;
  }
  return post(guestsPath(step.target), params);
}

/** A clone gets a new smbios uuid from PVE, so that the marker has to name it until it is configured (ADR 0004). */
function cloneRequest(step: Extract<Step, { op: "clone" }>): StepRequest {
  const { kind, vmid, node, identity } = step.target;
  const params: Record<string, string> = {
    newid: String(vmid),
    [kind === "VirtualMachine" ? "name" : "hostname"]: step.name,
    description: identityMarker(identity),
  };
  if (step.full !== undefined) params["full"] = step.full ? "1" : "0";
  if (step.storage !== undefined) params["storage"] = step.storage;
  if (node !== step.source.node) params["target"] = node;
  return post(`${guestPath({ kind, node: step.source.node, vmid: step.source.vmid })}/clone`, params);
}

function configureRequest(
  step: Extract<Step, { op: "configure" }>,
  base: ObservedGuest | undefined,
): StepRequest | undefined {
  if (base === undefined) throw new ProxmoorError("INTERNAL", "a guest is configured only after it was read");
  const { kind, identity } = step.target;
  const { set, remove } = encode({ kind, config: base.config, changes: step.changes, identity });
  if (Object.keys(set).length === 0 && remove.length === 0) return undefined;
  return put(`${guestPath(step.target)}/config`, {
    ...set,
    ...(remove.length === 0 ? {} : { delete: remove.join(",") }),
    ...digestOf(base),
  });
}

/** Live migration is for VMs; a running container is shut down, moved and started again (BEHAVIOUR 5). */
function migrateRequest(step: Extract<Step, { op: "migrate" }>): StepRequest {
  const params: Record<string, string> = { target: step.to };
  if (step.online && step.target.kind === "Container") params["restart"] = "1";
  else if (step.online) Object.assign(params, { online: "1", "with-local-disks": "1" });
  return post(`${guestPath(step.target)}/migrate`, params);
}
