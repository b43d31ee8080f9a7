import { request } from "node:https";
import type { Simulator } from "../../../src/simulator/index.js";

export interface Sent {
  readonly method: string;
  /** Below /api2/json, or the whole path when it begins with /api. */
  readonly path: string;
  readonly params?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Received {
  readonly status: number;
  readonly reason: string;
  readonly type: string | undefined;
  readonly text: string;
  readonly json: () => { data?: unknown; errors?: Record<string, string>; message?: string };
}

/** One request over real HTTPS, as a client that knows the certificate would send it. */
export function send(simulator: Pick<Simulator, "url" | "caPem">, sent: Sent): Promise<Received> {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(sent.params ?? {}))
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [value]) form.append(name, String(one));
  const inQuery = sent.method === "GET" || sent.method === "DELETE";
  const query = inQuery && form.size > 0 ? `?${form.toString()}` : "";
  const body = sent.body ?? (inQuery || form.size === 0 ? undefined : form.toString());
  const url = new URL(simulator.url);
  const headers: Record<string, string> = { ...sent.headers };
  if (sent.token !== undefined) headers["authorization"] = `PVEAPIToken=${sent.token}`;
  if (sent.body === undefined && body !== undefined) headers["content-type"] = "application/x-www-form-urlencoded";
  if (body !== undefined) headers["content-length"] = String(Buffer.byteLength(body));
  const path = `${/^\/api\d/.test(sent.path) || sent.path.includes(".html") ? "" : "/api2/json"}${sent.path}${query}`;
  return new Promise((resolve, reject) => {
    const asking = request(
      { host: url.hostname, port: url.port, method: sent.method, path, headers, ca: simulator.caPem, agent: false },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part: string) => (text += part));
        answer.on("error", reject);
        answer.on("end", () =>
          resolve({
            status: answer.statusCode ?? 0,
            reason: answer.statusMessage ?? "",
            type: answer.headers["content-type"],
            text,
            json: () => JSON.parse(text) as ReturnType<Received["json"]>,
          }),
        );
      },
    );
    asking.on("error", reject);
    asking.end(body);
  });
}
