#!/usr/bin/env node
import { setMaxListeners } from "node:events";
import { ProxmoorError } from "../model/errors.js";
import { processEnvironment } from "../config/environment.js";
import type { Io } from "./io.js";
import { isGone, processName } from "./process-name.js";
import { run } from "./run.js";

const interruption = new AbortController();
// every request under way listens to it
setMaxListeners(0, interruption.signal);
let signals = 0;
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.on(name, () => {
    signals++;
    // the first one ends cleanly; who asks twice does not want to wait
    if (signals > 1) process.exit(130);
    interruption.abort(new ProxmoorError("APPLY_INTERRUPTED", `interrupted by ${name}`, { retry: "later" }));
  });
// `proxmoor get vms | head` closes the pipe early: that is no fault
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });

const io: Io = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  stdin: process.stdin,
  isTerminal: {
    stdin: process.stdin.isTTY === true,
    stdout: process.stdout.isTTY === true,
    stderr: process.stderr.isTTY === true,
  },
  columns: process.stderr.columns ?? 100,
  env: processEnvironment(),
  signal: interruption.signal,
  holder: processName(Date.now()),
  isGone,
};

process.exitCode = await run(process.argv.slice(2), io);
// a terminal's standard input would keep the process alive
process.stdin.unref?.();
