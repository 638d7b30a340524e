import { quoteToken } from '../data/token-display.ts';

/** Runs of backticks in a text decide how long a fence around it must be. */
const fence = (text: string, shortest: number) =>
  '`'.repeat(Math.max(shortest, 1 + Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length))));

/** A token as code, in quotes. */
export function tokenCode(text: string): string {
  const shown = quoteToken(text);
  const ticks = fence(shown, 1);
  return `${ticks}${shown}${ticks}`;
}

/** The same in a cell of a table, which a bar would end, even within code, unless a single backslash stands before it. */
export const tokenCell = (text: string) =>
  tokenCode(text)
    .replace(/(?<=\\)\|/g, 'x7C')
    .replaceAll('|', '\\|');

/** A text as a code block, verbatim but for characters that cannot be shown. */
export function codeBlock(text: string): string {
  const shown = text
    .replace(/\r\n?/g, '\n')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is shown by a picture of it
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (c) => (c === '\u007f' ? '\u2421' : picture(c)))
    .replace(/\p{Cs}/gu, '\ufffd');
  const ticks = fence(shown, 3);
  return `${ticks}text\n${shown}\n${ticks}`;
}

/** The control character's picture in Unicode: U+2400 and on. */
const picture = (control: string) => String.fromCharCode(0x2400 + control.charCodeAt(0));

/** A probability from its logarithm, in percent with three digits. */
export function percent(logprob: number): string {
  const share = 100 * Math.exp(logprob);
  if (share >= 99.95) return share === 100 ? '100%' : '>99.9%';
  if (share >= 0.01) return `${Number(share.toPrecision(3))}%`;
  return `${share.toExponential(1)}%`;
}
