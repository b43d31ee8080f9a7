import type { HistoryEntry, ResourceType } from "../../history/types.js";
import { ProxmoorError } from "../../model/errors.js";
import { openSession, type GlobalOptions, type Session } from "../compose.js";
import type { CommandResult, Io } from "../io.js";
import { numberOf } from "../look.js";
import { changeLine, nameOf } from "../output/changes.js";
import { toJson } from "../output/json.js";

export interface HistoryOptions extends GlobalOptions {
  readonly output?: string;
  readonly limit?: string;
}

const TYPES: Readonly<Record<string, ResourceType>> = {
  vm: "vm",
  ct: "container",
  container: "container",
  node: "node",
  storage: "storage",
};

/** `proxmoor history [vm/NAME]`: what changed, when, by which task and user; newest first, from the database. */
export async function history(name: string | undefined, options: HistoryOptions, io: Io): Promise<CommandResult> {
  const limit = numberOf(options.limit ?? "50", "--limit", 1);
  const session = await openSession(options, io);
  try {
    const object = name === undefined ? {} : await find(name, session);
    const entries = await session.store.history.entries({ ...object, limit });
    if (options.output === "json") io.out(`${toJson({ items: entries.map(toRecord) })}\n`);
    else io.out(entries.length === 0 ? "Nothing has happened yet.\n" : entries.map(paragraph).join(""));
    return { exitCode: 0 };
  } finally {
    await session.close();
  }
}

async function find(text: string, session: Session): Promise<{ type: ResourceType; ids: readonly string[] }> {
  const slash = text.indexOf("/");
  const type = TYPES[text.slice(0, slash)];
  const name = text.slice(slash + 1);
  if (slash < 0 || type === undefined || name === "")
    throw new ProxmoorError("USAGE", `"${text}" names no object`, {
      remedy: "Write vm/NAME, ct/NAME, node/NAME or storage/NAME; a guest may be named by its vmid.",
    });
  const { history: past } = session.store;
  const isGuest = type === "vm" || type === "container";
  const ids = isGuest && /^\d+$/.test(name) ? [name] : await past.named(type, name);
  const [entry] = ids.length === 0 ? [] : await past.entries({ type, ids, limit: 1 });
  if (entry !== undefined) return { type, ids };
  throw new ProxmoorError("NOT_FOUND", `history knows no ${text}`, {
    remedy: "`proxmoor history` lists what it knows; `proxmoor get vms` looks at the cluster.",
  });
}

function paragraph(entry: HistoryEntry): string {
  const by = entry.user === undefined ? "" : ` by ${entry.user}`;
  const task = entry.task === undefined ? "" : ` (${entry.task.type}, task ${entry.task.id})`;
  const head = `${new Date(entry.time).toISOString()}  ${nameOf(entry)}  ${entry.change}${by}${task}\n`;
  return `${head}${entry.fields.map((change) => `    ${changeLine(change)}\n`).join("")}`;
}

function toRecord(entry: HistoryEntry): object {
  return { ...entry, object: nameOf(entry), time: new Date(entry.time).toISOString() };
}
