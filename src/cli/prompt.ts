import { createInterface } from "node:readline/promises";
import { Readable } from "node:stream";
import { ProxmoorError } from "../model/errors.js";
import type { Disruption } from "../plan/types.js";
import type { Io } from "./io.js";

/**
 * Asks about the disruptions that no manifest allows, once for all. Throws APPLY_DECLINED where the answer is no, or where nobody can be asked.
 */
export async function confirmDisruptions(disruptions: readonly Disruption[], yes: boolean, io: Io): Promise<void> {
  const asked = disruptions.filter((one) => one.isAllowed !== true);
  if (asked.length === 0 || yes) return;
  const list = asked.map((one) => `  ! ${one.text}`).join("\n");
  if (!io.isTerminal.stdin)
    throw new ProxmoorError(
      "APPLY_DECLINED",
      `nothing was changed: the plan has disruptions and nobody could be asked\n${list}`,
      {
        remedy: "Say --yes if they are meant.",
      },
    );
  if (await asks(`${list}\nGo on? [y/N] `, io)) return;
  throw new ProxmoorError("APPLY_DECLINED", "nothing was changed: the disruptions were declined");
}

/** Asks before a database is emptied or replaced. Throws DB_DECLINED where the answer is no, or nobody can be asked. */
export async function confirmLoss(question: string, yes: boolean, io: Io): Promise<void> {
  if (yes) return;
  if (!io.isTerminal.stdin)
    throw new ProxmoorError("DB_DECLINED", `nothing was changed: nobody could be asked. ${question}`, {
      remedy: "Say --yes if it is meant.",
    });
  if (await asks(`${question} [y/N] `, io)) return;
  throw new ProxmoorError("DB_DECLINED", "nothing was changed: the answer was not yes");
}

async function asks(question: string, io: Io): Promise<boolean> {
  io.err(question);
  const lines = createInterface({ input: Readable.from(io.stdin), terminal: false });
  const stop = () => lines.close();
  io.signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const line of lines) {
      return /^(y|yes)$/i.test(line.trim());
    }
  } finally {
    io.signal.removeEventListener("abort", stop);
    lines.close();
  }
  return false;
}
