import type { Range } from '../../server/protocol/message.ts';
import type { ScoredToken, Scores, TokenRange } from '../../server/protocol/traces.ts';
import { deviates, type Heat, heatBucket, heatLevels } from './heat.ts';
import { movedRange, nearViewport, sameRange, tokenIndexAt } from './ranges.ts';

/** Scores of a document's tokens as they arrive, in any order, in document order. */
export class ScoredTokens {
  #tokens: ScoredToken[] = [];
  done = 0;
  total = 0;

  get tokens(): readonly ScoredToken[] {
    return this.#tokens;
  }

  add(part: Scores): void {
    this.#tokens = merged(this.#tokens, part.tokens);
    this.done = part.done;
    this.total = part.total;
  }

  /** Lines were put in or taken out above. */
  move(lines: number): void {
    if (lines === 0) return;
    this.#tokens = this.#tokens.map((token) => ({ ...token, range: movedRange(token.range, lines) }));
  }

  /** The token at a position, or null where none has been scored. */
  at(position: Range['start']): ScoredToken | null {
    return this.#tokens[tokenIndexAt(this.#tokens, position)] ?? null;
  }

  near(visible: readonly Range[]): ScoredToken[] {
    return this.#tokens.slice(...nearViewport(this.#tokens, visible));
  }
}

/** Two lists by ascending token index; where both have one, the new one. */
function merged(old: readonly ScoredToken[], added: readonly ScoredToken[]): ScoredToken[] {
  const fresh = [...added].sort((a, b) => a.index - b.index);
  if (fresh.length === 0) return [...old];
  if (old.length === 0 || old.at(-1)!.index < fresh[0]!.index) return [...old, ...fresh];
  const all: ScoredToken[] = [];
  let i = 0;
  for (const token of fresh) {
    while (i < old.length && old[i]!.index < token.index) all.push(old[i++]!);
    if (old[i]?.index === token.index) i++;
    all.push(token);
  }
  return all.concat(old.slice(i));
}

export interface HeatPicture {
  /** Ranges of buckets 1 to 5. */
  buckets: Range[][];
  /** Tokens of buckets 1 to 5 that are line breaks alone: a background has nothing to show there. */
  breaks: { bucket: number; range: Range }[];
  deviations: Range[];
}

/**
 * What to paint for some tokens, in document order. Each has a range of its own: one across several would colour what the
 * editor shows between them, such as an inlay hint.
 */
export function heatPicture(
  tokens: readonly ScoredToken[],
  heat: Heat | null,
  { deviations, prompt }: { deviations: boolean; prompt: boolean },
): HeatPicture {
  const picture: HeatPicture = {
    buckets: Array.from({ length: heatLevels }, () => []),
    breaks: [],
    deviations: [],
  };
  for (const group of whole(tokens)) {
    const { range } = group[0]!;
    const bucket =
      heat && (prompt || group[0]!.generated)
        ? Math.max(...group.map((token) => heatBucket(heat, token)))
        : 0;
    if (bucket > 0 && isLineBreak(group[0]!)) picture.breaks.push({ bucket, range });
    else if (bucket > 0) picture.buckets[bucket - 1]!.push(range);
    if (deviations && group.some(deviates)) picture.deviations.push(range);
  }
  return picture;
}

const isLineBreak = (token: TokenRange): boolean =>
  token.range.start.line !== token.range.end.line && token.text.trim() === '';

/** Tokens grouped by the characters that they make: several where they share one. */
function whole(tokens: readonly ScoredToken[]): ScoredToken[][] {
  const groups: ScoredToken[][] = [];
  for (const token of tokens) {
    const group = groups.at(-1);
    if (group && sameRange(group[0]!.range, token.range)) group.push(token);
    else groups.push([token]);
  }
  return groups;
}
