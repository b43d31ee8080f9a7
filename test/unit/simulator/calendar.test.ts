import { expect } from "chai";
import { nextEvent, parseCalendar } from "../../../src/simulator/table/calendar.js";

/** A Tuesday. */
const NOW = Date.UTC(2023, 10, 14, 22, 13, 20) / 1000;

const print = (text: string): string => {
  const calendar = parseCalendar(text);
  if (typeof calendar === "string") return `? ${calendar}`;
  const next = nextEvent(calendar, NOW);
  return next === undefined ? "never" : new Date(next * 1000).toUTCString();
};

describe("simulator: schedules", () => {
  const schedules: readonly (readonly [string, string])[] = [
    ["mon..fri 8:00", "Wed, 15 Nov 2023 08:00:00 GMT"],
    ["sat 03:00", "Sat, 18 Nov 2023 03:00:00 GMT"],
    ["sat..mon", "Sat, 18 Nov 2023 00:00:00 GMT"],
    ["*/15", "Tue, 14 Nov 2023 22:15:00 GMT"],
    ["*:0/30", "Tue, 14 Nov 2023 22:30:00 GMT"],
    ["8..17/3:30", "Wed, 15 Nov 2023 08:30:00 GMT"],
    ["*-02-29 12:00", "Thu, 29 Feb 2024 12:00:00 GMT"],
    ["2022-1-1", "never"],
    ["daily", "Wed, 15 Nov 2023 00:00:00 GMT"],
    ["Quarterly", "Mon, 01 Jan 2024 00:00:00 GMT"],
    ["12:00 UTC", "Wed, 15 Nov 2023 12:00:00 GMT"],
    ["when it rains", "? when"],
    ["25:00", "? 25:00"],
    ["mon 1:00 2:00", "? 2:00"],
    ["", "? "],
  ];
  for (const [text, printed] of schedules) it(`${text} → ${printed}`, () => expect(print(text)).to.equal(printed));
});
