/** A stage's work cut for several machines. */

/** One of `count` parts, numbered from 1. */
export interface Shard {
  index: number;
  count: number;
}

/** `2/8`, as the command line takes it and the manifest records it. */
export const shardName = ({ index, count }: Shard): string => `${index}/${count}`;

/** The shard that a text names; null for anything else. */
export function parseShard(text: string): Shard | null {
  const [, index, count] = (/^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []).map(Number);
  return index && count && index <= count ? { index, count } : null;
}

/**
 * The units of work that a shard takes, with their numbers among all. They are dealt like cards: neighbours cost alike,
 * so every shard gets its part of the costly ones. A unit is never cut: what is computed together stays together, and
 * gives the same bytes as in one run.
 */
export function dealt<T>(units: readonly T[], shard: Shard | null): { number: number; unit: T }[] {
  const all = units.map((unit, number) => ({ number, unit }));
  return shard ? all.filter(({ number }) => number % shard.count === shard.index - 1) : all;
}
