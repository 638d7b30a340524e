import type { Rng } from '../random.ts';

/**
 * A number in [0, 1) that depends only on the text (FNV-1a 32 with murmur3's finaliser). Deciding by text to
 * which split an item belongs makes splits disjoint whatever the seeds and counts.
 */
function textFraction(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

/** The name whose share of [0, 1) holds the text; shares are in order and sum to 1. */
export function splitOf<S extends string>(text: string, shares: readonly (readonly [S, number])[]): S {
  let rest = textFraction(text);
  for (const [name, share] of shares) {
    if (rest < share) return name;
    rest -= share;
  }
  return shares.at(-1)![0];
}

export function pick<T>(rng: Rng, items: readonly T[]): T {
  return items[rng.int(items.length)]!;
}

/** `count` different items, in random order. */
export function pickSome<T>(rng: Rng, items: readonly T[], count: number): T[] {
  return rng.shuffle([...items]).slice(0, count);
}

/**
 * Draws until `n` items with different keys are found.
 * @param draw returns null for a draw to reject
 * @throws RangeError when 5,000 draws in a row bring nothing new: the generator is exhausted
 */
export function distinct<T>(n: number, key: (item: T) => string, draw: (found: number) => T | null): T[] {
  const seen = new Set<string>();
  const items: T[] = [];
  for (let misses = 0; items.length < n; ) {
    const item = draw(items.length);
    if (item !== null && !seen.has(key(item))) {
      seen.add(key(item));
      items.push(item);
      misses = 0;
    } else if (++misses === 5000) {
      throw new RangeError(`only ${items.length} of ${n} different items exist`);
    }
  }
  return items;
}
