import type { Pair } from '../../server/data/records.ts';
import type { Rng } from '../../server/random.ts';

export const randomIds = (rng: Rng, count: number, vocab: number): number[] =>
  Array.from({ length: count }, () => rng.int(vocab));

/** Pairs of random tokens behind a common prompt. */
export function randomPairs(
  rng: Rng,
  {
    count,
    prompt = [],
    tokens,
    vocab,
  }: { count: number; prompt?: readonly number[]; tokens: number; vocab: number },
): Pair[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `pair ${i}`,
    prefix: [...prompt, ...randomIds(rng, tokens, vocab)],
    desired: rng.int(vocab),
    undesired: rng.int(vocab),
    method: 'imported',
    status: 'auto',
  }));
}
