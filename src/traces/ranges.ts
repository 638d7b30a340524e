import type { Position, Range } from '../../server/protocol/message.ts';
import type { TokenRange } from '../../server/protocol/traces.ts';

/** Below 0 where `a` stands before `b`. */
export const comparePositions = (a: Position, b: Position): number =>
  a.line - b.line || a.character - b.character;

export const sameRange = (a: Range, b: Range): boolean =>
  comparePositions(a.start, b.start) === 0 && comparePositions(a.end, b.end) === 0;

export const isEmpty = (range: Range): boolean => comparePositions(range.start, range.end) === 0;

/** Index of the first item for which `after` holds, given that it holds for all that follow. */
function firstWhere<T>(items: readonly T[], after: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (after(items[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Tokens that a screen may hold with hardly any text in sight: grown by at least these. */
const LEAST = 100;

/**
 * The part of `tokens` (in document order) worth decorating: what is visible, and as many tokens again before and after.
 * Counted in tokens, since one long line may fill many screens.
 * @returns [from, to) in `tokens`
 */
export function nearViewport(tokens: readonly TokenRange[], visible: readonly Range[]): [number, number] {
  if (visible.length === 0 || tokens.length === 0) return [0, 0];
  const start = visible.reduce((a, b) => (comparePositions(a.start, b.start) <= 0 ? a : b)).start;
  const end = visible.reduce((a, b) => (comparePositions(a.end, b.end) >= 0 ? a : b)).end;
  const from = firstWhere(tokens, (token) => comparePositions(token.range.end, start) > 0);
  const to = firstWhere(tokens, (token) => comparePositions(token.range.start, end) > 0);
  const screen = Math.max(to - from, LEAST);
  return [Math.max(0, from - screen), Math.min(tokens.length, to + screen)];
}

/** Index in `tokens` (in document order) of the one at a position: the one that begins there, or covers it; -1 for none. */
export function tokenIndexAt(tokens: readonly TokenRange[], position: Position): number {
  const next = firstWhere(tokens, (token) => comparePositions(token.range.start, position) > 0);
  const at = tokens[next - 1];
  if (!at) return -1;
  // The end of the text still belongs to the last token.
  const inside = comparePositions(position, at.range.end) <= 0;
  if (!inside) return -1;
  // Tokens that share a character share its range: the first stands for all.
  let first = next - 1;
  while (first > 0 && sameRange(tokens[first - 1]!.range, at.range)) first--;
  return first;
}

/** A token's range without the white space around its text; all of it where there is nothing else. */
export function tightRange(token: Pick<TokenRange, 'text' | 'range'>): Range {
  const { start, end } = token.range;
  if (start.line !== end.line) return token.range;
  const [, before, inner, after] = token.text.match(/^(\s*)(.*?)(\s*)$/s)!;
  // Display text may differ from the document's (a shared character, a special token): then nothing is taken off.
  if (inner === '' || token.text.length !== end.character - start.character) return token.range;
  return {
    start: { line: start.line, character: start.character + before!.length },
    end: { line: end.line, character: end.character - after!.length },
  };
}

export const movedRange = (range: Range, lines: number): Range =>
  lines === 0
    ? range
    : {
        start: { line: range.start.line + lines, character: range.start.character },
        end: { line: range.end.line + lines, character: range.end.character },
      };

/**
 * By how many lines the text from `line` on was moved by edits that all stand before it; null where one of them touches
 * it. Annotations are edits of the header, and what is known of the tokens below it stays true.
 */
export function linesMoved(changes: readonly { range: Range; text: string }[], line: number): number | null {
  let moved = 0;
  for (const { range, text } of changes) {
    if (range.end.line > line || (range.end.line === line && range.end.character > 0)) return null;
    // An edit that ends where the text begins may join it to the line above.
    if (range.end.line === line && text !== '' && !/[\r\n]$/.test(text)) return null;
    if (range.end.line === line && text === '' && range.start.character > 0) return null;
    moved += (text.match(/\r\n|\r|\n/g)?.length ?? 0) - (range.end.line - range.start.line);
  }
  return moved;
}
