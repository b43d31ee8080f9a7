import { ProxmoorError } from "../../../src/model/errors.js";
import type { Params, PveClient } from "../../../src/pve/client.js";

/** A client that answers from a table of paths; a thrown value stands for PVE's error. */
export class FakeClient implements PveClient {
  readonly calls: string[] = [];

  constructor(private readonly answers: Readonly<Record<string, unknown>>) {}

  get(path: string, params: Params = {}): Promise<unknown> {
    return this.answer("GET", path, params);
  }

  write(method: "POST" | "PUT" | "DELETE", path: string, params: Params): Promise<unknown> {
    return this.answer(method, path, params);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private answer(method: string, path: string, params: Params): Promise<unknown> {
    const query = Object.entries(params).map(([key, value]) => `${key}=${value}`);
    this.calls.push(`${method} ${path} ${query.join(" & ")}`.trim());
    const answer = this.answers[`${method} ${path}`] ?? this.answers[path];
    if (answer instanceof Error) return Promise.reject(answer);
    if (answer === undefined) return Promise.reject(new Error(`the fake has no answer to ${method} ${path}`));
    return Promise.resolve(answer);
  }
}

export function offline(node: string): ProxmoorError {
  return new ProxmoorError("PVE_NODE_OFFLINE", "595 No route to host", { subject: node, retry: "later" });
}

export function noGuest(node: string, vmid: number): ProxmoorError {
  const message = `Configuration file 'nodes/${node}/qemu-server/${vmid}.conf' does not exist`;
  return new ProxmoorError("PVE_NOT_FOUND", message, { facts: { what: "guest" } });
}
