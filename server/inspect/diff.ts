import type { Tokenizer } from '../checkpoint/tokenizer.ts';
import { longestCommonSubsequence } from './lcs.ts';

/** Tokens [from, to) of one side and the UTF-16 span that they decode to there. */
interface Stretch {
  from: number;
  to: number;
  start: number;
  end: number;
}

/** A run of tokens that both sides have, or only one. The other side's stretch is then empty, at its place. */
export interface DiffRun {
  kind: 'same' | 'removed' | 'added';
  a: Stretch;
  b: Stretch;
  /** Decoded text: of side a, or of side b where added. */
  text: string;
}

export interface CompletionDiff {
  /** Index of the first token that differs, the shorter length where one side goes on; null for equal ids. */
  firstDivergence: number | null;
  /** In order, removed before added; they tile both sides. */
  runs: DiffRun[];
}

/** Index of the first token that differs, the shorter length where one list is the start of the other; null if equal. */
export function firstDivergence(a: readonly number[], b: readonly number[]): number | null {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? null : shorter;
}

/**
 * Align two completions token by token: a longest common subsequence, as runs of same, removed and added tokens. Tokens
 * that share a character are never parted, so that every run's text is whole.
 * @param a token ids before
 * @param b token ids after
 */
export function diffCompletions(
  a: readonly number[],
  b: readonly number[],
  tokenizer: Pick<Tokenizer, 'tokenSpans'>,
): CompletionDiff {
  const symbols = new Map<string, number>();
  const left = units(a, tokenizer, symbols);
  const right = units(b, tokenizer, symbols);
  const matches = longestCommonSubsequence(left.symbols, right.symbols);
  const runs: DiffRun[] = [];
  const add = (kind: DiffRun['kind'], i: number, toI: number, j: number, toJ: number) => {
    if (i === toI && j === toJ) return;
    const [x, y] = [left.stretch(i, toI), right.stretch(j, toJ)];
    const text = kind === 'added' ? right.text.slice(y.start, y.end) : left.text.slice(x.start, x.end);
    runs.push({ kind, a: x, b: y, text });
  };
  let i = 0;
  let j = 0;
  for (let m = 0; m < matches.length; ) {
    const [x, y] = matches[m]!;
    add('removed', i, x, j, j);
    add('added', x, x, j, y);
    let length = 0;
    while (matches[m + length]?.[0] === x + length && matches[m + length]?.[1] === y + length) length++;
    add('same', x, x + length, y, y + length);
    i = x + length;
    j = y + length;
    m += length;
  }
  add('removed', i, left.symbols.length, j, j);
  add('added', left.symbols.length, left.symbols.length, j, right.symbols.length);
  return { firstDivergence: firstDivergence(a, b), runs };
}

/**
 * A completion cut into the smallest pieces with whole characters: a token, or the tokens that share a character. Equal
 * pieces have equal symbols.
 */
function units(ids: readonly number[], tokenizer: Pick<Tokenizer, 'tokenSpans'>, known: Map<string, number>) {
  const { text, spans } = tokenizer.tokenSpans(ids);
  /** First token of each piece, and the end. */
  const cuts: number[] = [0];
  spans.forEach(({ start, end }, i) => {
    // A token with an empty span has given its bytes to the one after it.
    if (end > start) cuts.push(i + 1);
  });
  if (cuts.at(-1) !== ids.length) cuts.push(ids.length);
  const symbols = new Int32Array(cuts.length - 1);
  for (let u = 0; u < symbols.length; u++) {
    const key = ids.slice(cuts[u], cuts[u + 1]).join();
    const symbol = known.get(key) ?? known.size;
    known.set(key, symbol);
    symbols[u] = symbol;
  }
  const offset = (token: number) => (token < spans.length ? spans[token]!.start : text.length);
  return {
    text,
    symbols,
    stretch: (from: number, to: number): Stretch => ({
      from: cuts[from]!,
      to: cuts[to]!,
      start: offset(cuts[from]!),
      end: offset(cuts[to]!),
    }),
  };
}
