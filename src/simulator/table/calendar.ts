/** A schedule as PVE's jobs have it: what must match of a point in time; undefined matches all. UTC. */
export interface Calendar {
  readonly weekdays: ReadonlySet<number> | undefined;
  readonly years: Matcher;
  readonly months: Matcher;
  readonly days: Matcher;
  readonly hours: readonly number[];
  readonly minutes: readonly number[];
  readonly seconds: readonly number[];
}

type Matcher = (value: number) => boolean;

const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FULL = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const WORDS: Readonly<Record<string, string>> = {
  minutely: "*:*:00",
  hourly: "*:00:00",
  daily: "00:00:00",
  weekly: "mon 00:00:00",
  monthly: "*-*-01 00:00:00",
  quarterly: "*-01,04,07,10-01 00:00:00",
  semiannually: "*-01,07-01 00:00:00",
  "semi-annually": "*-01,07-01 00:00:00",
  yearly: "*-01-01 00:00:00",
  annually: "*-01-01 00:00:00",
};
const DAY_S = 86_400;
const FURTHEST_DAYS = 366 * 12;

/** A text that is no calendar event; `at` is the word that could not be read. */
class CalendarFault extends Error {
  constructor(readonly at: string) {
    super(at);
  }
}

/** @returns the schedule, or the word that PVE can't read */
export function parseCalendar(text: string): Calendar | string {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof CalendarFault) return error.at;
    throw error;
  }
}

function parse(text: string): Calendar {
  const words = (WORDS[text.trim().toLowerCase()] ?? text.trim()).split(/\s+/).filter((word) => word !== "");
  if (words.at(-1)?.toUpperCase() === "UTC") words.pop();
  const first = words[0] ?? "";
  const weekdays = /^[a-z]/i.test(first) ? parseWeekdays(words.shift() ?? "") : undefined;
  const date = words[0]?.includes("-") === true ? parseDate(words.shift() ?? "") : {};
  const time = parseTime(words.shift() ?? (weekdays === undefined && first === "" ? first : "00:00:00"));
  const left = words[0];
  if (left !== undefined) throw new CalendarFault(left);
  const all: Matcher = () => true;
  return { weekdays, years: all, months: all, days: all, ...date, ...time };
}

function parseWeekdays(word: string): ReadonlySet<number> {
  const number = (name: string): number => {
    const lower = name.toLowerCase();
    const found = Math.max(WEEKDAYS.indexOf(lower), FULL.indexOf(lower));
    if (found < 0) throw new CalendarFault(word);
    return found;
  };
  const days = new Set<number>();
  for (const part of word.split(",")) {
    const [from = "", to] = part.split("..");
    const start = number(from);
    const end = to === undefined ? start : number(to);
    for (let day = start; ; day = (day + 1) % 7) {
      days.add(day);
      if (day === end) break;
    }
  }
  return days;
}

function parseDate(word: string): Pick<Calendar, "years" | "months" | "days"> {
  const parts = word.split("-");
  if (parts.length < 2 || parts.length > 3) throw new CalendarFault(word);
  const [day = "", month = "", year = "*"] = parts.reverse();
  const matcher = (text: string, min: number, max: number): Matcher => {
    const values = new Set(parseField(text, { min, max, word }));
    return (value) => values.has(value);
  };
  return { years: matcher(year, 1970, 2200), months: matcher(month, 1, 12), days: matcher(day, 1, 31) };
}

/** `H:M:S`, `H:M`, or minutes alone. */
function parseTime(word: string): Pick<Calendar, "hours" | "minutes" | "seconds"> {
  const parts = word.split(":");
  if (word === "" || parts.length > 3) throw new CalendarFault(word);
  const [hours = "*", minutes = "0", seconds = "0"] = parts.length === 1 ? ["*", word] : parts;
  return {
    hours: parseField(hours, { min: 0, max: 23, word }),
    minutes: parseField(minutes, { min: 0, max: 59, word }),
    seconds: parseField(seconds, { min: 0, max: 59, word }),
  };
}

interface Field {
  readonly min: number;
  readonly max: number;
  readonly word: string;
}

/** `*`, `5`, `1..5`, each with `/step`, in a list. */
function parseField(text: string, { min, max, word }: Field): number[] {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const found = /^(?:(\*)|(\d+)(?:\.\.(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (found === null) throw new CalendarFault(word);
    const [, star, from = "", to, step] = found;
    const start = star === undefined ? Number(from) : min;
    const open = star !== undefined || step !== undefined;
    const end = to !== undefined ? Number(to) : open ? max : start;
    const by = step === undefined ? 1 : Number(step);
    if (start < min || end > max || by < 1) throw new CalendarFault(word);
    for (let value = start; value <= end; value += by) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

/** The first event after `after` (UTC seconds); undefined when there is none in the next years. */
export function nextEvent(calendar: Calendar, after: number): number | undefined {
  const firstDay = Math.floor((after + 1) / DAY_S);
  for (let day = firstDay; day < firstDay + FURTHEST_DAYS; day++) {
    const date = new Date(day * DAY_S * 1000);
    if (calendar.weekdays?.has(date.getUTCDay()) === false) continue;
    if (!calendar.years(date.getUTCFullYear()) || !calendar.months(date.getUTCMonth() + 1)) continue;
    if (!calendar.days(date.getUTCDate())) continue;
    const found = firstTime(calendar, after - day * DAY_S);
    if (found !== undefined) return day * DAY_S + found;
  }
  return undefined;
}

/** The first second of the day after the given one. */
function firstTime({ hours, minutes, seconds }: Calendar, after: number): number | undefined {
  for (const hour of hours)
    for (const minute of minutes)
      for (const second of seconds) {
        const at = hour * 3600 + minute * 60 + second;
        if (at > after) return at;
      }
  return undefined;
}
