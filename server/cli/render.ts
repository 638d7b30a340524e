/** Text for people: durations, sizes, tables. */

/** `0.4 s`, `42 s`, `12 min`, `3 h 20 min`, `2 d 4 h`: as exact as is of use. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const rest = Math.round((minutes - Math.floor(hours / 24) * 1440) / 60);
  return rest === 24
    ? `${Math.floor(hours / 24) + 1} d`
    : `${Math.floor(hours / 24)} d${rest ? ` ${rest} h` : ''}`;
}

/** `812 B`, `3.4 kB`, `1.2 GB`, in powers of 1000. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = count;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toPrecision(2)} ${units[unit]}`;
}

/** A number with about four significant digits; whole numbers in full. */
export function figure(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return String(value);
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6
    ? String(Number(value.toPrecision(4)))
    : value.toExponential(2);
}

/** A share in percent with one decimal: `61.3 %`. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** An interval of shares in percent: `[58.2, 64.4]`. */
export function percentInterval(low: number, high: number): string {
  return `[${(low * 100).toFixed(1)}, ${(high * 100).toFixed(1)}]`;
}

/** A difference of shares in percentage points, always with its sign: `+31.2`. */
export function points(difference: number): string {
  const value = (difference * 100).toFixed(1);
  return difference >= 0 ? `+${value.replace('-', '')}` : value;
}

/** Rows under a head, columns two spaces apart; a column whose cells all begin like a number is right-aligned. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = head.map((_, column) => {
    const cells = rows.map((row) => row[column] ?? '').filter((cell) => cell !== '' && cell !== '-');
    return cells.length > 0 && cells.every((cell) => /^[-+[(]?[\d.]/.test(cell));
  });
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((row) => width(row[column] ?? ''))));
  return lines
    .map((row) =>
      head
        .map((_, column) => {
          const cell = row[column] ?? '';
          const space = ' '.repeat(widths[column]! - width(cell));
          return right[column] ? space + cell : cell + space;
        })
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Columns that a text takes in a terminal: wide East Asian characters and emoji take two, combining marks none. */
export function width(text: string): number {
  let columns = 0;
  for (const { segment } of SEGMENTS.segment(text)) columns += WIDE.test(segment) ? 2 : 1;
  return columns;
}

const SEGMENTS = new Intl.Segmenter();
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** Cuts a text to a number of terminal columns. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = '';
  for (const { segment } of SEGMENTS.segment(text)) {
    if (width(kept + segment) > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Text of a model for a terminal: control characters but line breaks and tabs are shown and not sent. */
export function harmless(text: string): string {
  return text.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
