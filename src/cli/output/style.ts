export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

const wrap = (open: number, close: number) => (text: string) => `\u001b[${open}m${text}\u001b[${close}m`;
const same = (text: string) => text;

const COLOUR: Style = {
  bold: wrap(1, 22),
  dim: wrap(2, 22),
  red: wrap(31, 39),
  green: wrap(32, 39),
  yellow: wrap(33, 39),
  cyan: wrap(36, 39),
};
const PLAIN: Style = { bold: same, dim: same, red: same, green: same, yellow: same, cyan: same };

/** Colour on a terminal only, and never where NO_COLOR is set (no-color.org). */
export function styleFor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Style {
  const off = env["NO_COLOR"] !== undefined && env["NO_COLOR"] !== "";
  return isTerminal && !off && env["TERM"] !== "dumb" ? COLOUR : PLAIN;
}

/** Colours the lines of a rendered plan by what they begin with. */
export function colourDiff(text: string, style: Style): string {
  return text
    .split("\n")
    .map((line) => colourLine(line, style))
    .join("\n");
}

function colourLine(line: string, style: Style): string {
  if (line.startsWith("---") || line.startsWith("+++")) return style.bold(line);
  if (line.startsWith("@@")) return style.cyan(line);
  if (line.startsWith("-")) return style.red(line);
  if (line.startsWith("+")) return style.green(line);
  if (line.startsWith("!") || line.startsWith("  !") || line.startsWith("Warning")) return style.yellow(line);
  return line.startsWith(" #") ? style.dim(line) : line;
}
