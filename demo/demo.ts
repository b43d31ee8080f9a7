// The main job from end to end against a simulated cluster, as a person would type it. `npm run demo`
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import https from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PATIENCE_MS = 60_000;

type Environment = Record<string, string>;

function say(text: string): void {
  process.stdout.write(`\n# ${text}\n`);
}

/** Starts the program; `proxmoor …` in the transcript. */
function start(args: readonly string[], env: Environment, stdout: "inherit" | "pipe"): ChildProcess {
  process.stdout.write(`$ proxmoor ${args.join(" ")}\n`);
  const base = { PATH: process.env["PATH"] ?? "", HOME: env["HOME"] ?? "", NO_COLOR: "1" };
  return spawn(process.execPath, [MAIN, ...args], {
    cwd: ROOT,
    env: { ...base, ...env },
    stdio: ["ignore", stdout, "inherit"],
  });
}

/** Runs a command to its end and checks how it ended. */
async function proxmoor(args: readonly string[], env: Environment, expected = 0): Promise<void> {
  const child = start(args, env, "inherit");
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  process.stdout.write(`(exit ${code ?? "by a signal"})\n`);
  if (code !== expected)
    throw new Error(`proxmoor ${args[0] ?? ""} ended with ${code ?? "a signal"}, expected ${expected}`);
}

/** The `export NAME='value'` lines that the simulator prints. */
async function settingsOf(child: ChildProcess): Promise<Environment> {
  const settings: Environment = {};
  if (!child.stdout) throw new Error("the simulator has no output");
  for await (const line of createInterface({ input: child.stdout })) {
    const match = /^export ([A-Z_]+)='(.*)'$/.exec(line);
    if (match?.[1] !== undefined) settings[match[1]] = match[2] ?? "";
    if ("PROXMOX_VE_ENDPOINT" in settings && "PROXMOX_VE_API_TOKEN" in settings && "PROXMOX_VE_FINGERPRINT" in settings)
      return settings;
  }
  throw new Error("the simulator ended before it was ready");
}

/** A call to PVE's API as somebody else would make it, with curl or in the GUI. */
function callPve(env: Environment, method: string, apiPath: string): Promise<unknown> {
  const url = new URL(`/api2/json${apiPath}`, env["PROXMOX_VE_ENDPOINT"]);
  return new Promise((resolve, reject) => {
    // the simulator's certificate is its own; this is a machine talking to itself
    const request = https.request(
      url,
      {
        method,
        rejectUnauthorized: false,
        agent: false,
        headers: { authorization: `PVEAPIToken=${env["PROXMOX_VE_API_TOKEN"] ?? ""}` },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () =>
          resolve((JSON.parse(Buffer.concat(parts).toString("utf8")) as { data: unknown }).data),
        );
      },
    );
    request.on("error", reject);
    request.end();
  });
}

interface Guest {
  readonly vmid: number;
  readonly node: string;
  readonly name?: string;
}

async function find(env: Environment, name: string): Promise<Guest> {
  const guests = (await callPve(env, "GET", "/cluster/resources?type=vm")) as Guest[];
  const guest = guests.find((one) => one.name === name);
  if (!guest) throw new Error(`${name} is not in the cluster`);
  return guest;
}

async function waitForStatus(env: Environment, guest: Guest, wanted: string): Promise<void> {
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; await sleep(200)) {
    const current = (await callPve(env, "GET", `/nodes/${guest.node}/qemu/${guest.vmid}/status/current`)) as {
      status: string;
    };
    if (current.status === wanted) return;
  }
  throw new Error(`${guest.name ?? guest.vmid} is not ${wanted} after ${PATIENCE_MS / 1000} s`);
}

async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  return ended;
}

async function main(): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "proxmoor-demo-"));
  const children: ChildProcess[] = [];
  try {
    say("A simulated cluster: three nodes, a VM template, and guests that Proxmoor did not make.");
    const simulator = start(
      ["simulator", "--listen", "127.0.0.1:0", "--state", path.join(folder, "cluster.json")],
      { HOME: folder },
      "pipe",
    );
    children.push(simulator);
    const env = {
      ...(await settingsOf(simulator)),
      HOME: folder,
      DATABASE_URL: `file:${path.join(folder, "proxmoor.db")}`,
    };
    process.stdout.write(
      Object.keys(env)
        .filter((name) => name.startsWith("PROXMOX"))
        .map((name) => `export ${name}=…\n`)
        .join(""),
    );

    say("What is there before.");
    await proxmoor(["get", "nodes"], env);
    await proxmoor(["get", "vms"], env);

    say("What the manifests would change: exit 1 says that there are differences. Nothing is changed by looking.");
    await proxmoor(["diff", "-f", "manifests/"], env, 1);

    say("Apply it. Every request is in the tasks table before it is sent.");
    await proxmoor(["apply", "-f", "manifests/"], env);

    say("And now there is nothing to change: exit 0.");
    await proxmoor(["diff", "-f", "manifests/"], env);

    say("The controller keeps it so. Meanwhile somebody stops web-01 behind its back.");
    const controller = start(
      ["controller", "-f", "manifests/", "--interval", "1", "--listen", "127.0.0.1:0"],
      env,
      "inherit",
    );
    children.push(controller);
    const web = await find(env, "web-01");
    await sleep(2000);
    process.stdout.write(`$ curl -X POST …/nodes/${web.node}/qemu/${web.vmid}/status/stop    # somebody else\n`);
    await callPve(env, "POST", `/nodes/${web.node}/qemu/${web.vmid}/status/stop`);
    await waitForStatus(env, web, "stopped");
    await waitForStatus(env, web, "running");
    await sleep(1000);
    const code = await end(controller);
    process.stdout.write(`(SIGTERM; exit ${code ?? "by a signal"})\n`);
    if (code !== 0) throw new Error("the controller did not end well");

    say("It is back. What Proxmoor manages, and everything it did:");
    await proxmoor(["get", "resources"], env);
    await proxmoor(["get", "tasks"], env);
    await proxmoor(["diff", "-f", "manifests/"], env);

    say("Clean up: only what Proxmoor made goes.");
    await proxmoor(["delete", "-f", "manifests/", "--yes"], env);
    await proxmoor(["get", "vms"], env);
    say("Done: created, converged, corrected, removed.");
  } finally {
    for (const child of children.reverse()) await end(child);
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
