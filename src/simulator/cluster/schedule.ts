import type { Call, Handlers } from "../call.js";
import { nextEvent, parseCalendar } from "../table/calendar.js";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const ITERATIONS = 10;

/** Perl's `scalar(gmtime)`: `Wed Nov  5 08:00:00 2025`. */
function gmtime(seconds: number): string {
  const time = new Date(seconds * 1000);
  const day = String(time.getUTCDate()).padStart(2);
  const clock = time.toISOString().slice(11, 19);
  return `${DAYS[time.getUTCDay()] ?? ""} ${MONTHS[time.getUTCMonth()] ?? ""} ${day} ${clock} ${time.getUTCFullYear()}`;
}

/** When a schedule comes next; undefined for one that never does. UTC seconds. */
export function nextRun(schedule: string, after: number): number | undefined {
  const calendar = parseCalendar(schedule);
  return typeof calendar === "string" ? undefined : nextEvent(calendar, after);
}

function analyze(call: Call): unknown {
  const rows: { timestamp: number; utc: string }[] = [];
  let at = call.int("starttime") ?? call.world.seconds();
  for (let i = 0; i < (call.int("iterations") ?? ITERATIONS); i++) {
    const next = nextRun(call.need("schedule"), at);
    if (next === undefined) break;
    rows.push({ timestamp: next, utc: gmtime(next) });
    at = next;
  }
  return rows;
}

export const scheduleCalls: Handlers = { "GET /cluster/jobs/schedule-analyze": analyze };
