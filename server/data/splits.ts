import { Rng } from '../random.ts';
import type { Split } from './records.ts';

export const SPLITS = ['train', 'val', 'test'] as const satisfies readonly Split[];

export type SplitShares = Record<Split, number>;

/** The split of the paper (arXiv 2512.16914): 26 / 4 / 20 of a template's 50 instances. */
const PAPER_SHARES: SplitShares = { train: 0.52, val: 0.08, test: 0.4 };

/**
 * Splits the instances of every template (items without one form a group of their own) by seed. What rounding takes from a split in
 * one template it gets back in the next, so that sizes stay within two of the shares in every template, and the whole
 * set keeps the shares even when each template has a single instance. Depends on ids and seed, not on the order of items.
 *
 * @param items ids must be unique
 * @param shares must sum to 1
 * @returns the split of each id
 */
export function assignSplits(
  items: Iterable<{ id: string; template_id?: string }>,
  seed: string | number,
  shares: SplitShares = PAPER_SHARES,
): Map<string, Split> {
  const total = shares.train + shares.val + shares.test;
  if (SPLITS.some((s) => !(shares[s] >= 0)) || Math.abs(total - 1) > 1e-9) {
    throw new RangeError(`split shares ${JSON.stringify(shares)} do not sum to 1`);
  }
  const groups = new Map<string, string[]>();
  for (const { id, template_id } of items) {
    // An item without a template cannot meet a template of the same name.
    const key = template_id === undefined ? '' : `t${template_id}`;
    const group = groups.get(key);
    if (group) group.push(id);
    else groups.set(key, [id]);
  }
  const rng = new Rng(seed).fork('split');
  const splits = new Map<string, Split>();
  // What each split is owed by the templates so far; sums to zero.
  const owed: SplitShares = { train: 0, val: 0, test: 0 };
  for (const key of rng.fork('templates').shuffle([...groups.keys()].sort())) {
    const ids = rng.fork(key).shuffle(groups.get(key)!.sort());
    const wanted = SPLITS.map((s) => ids.length * shares[s] + owed[s]);
    const sizes = round(wanted, ids.length);
    let next = 0;
    SPLITS.forEach((s, i) => {
      for (const id of ids.slice(next, next + sizes[i]!)) splits.set(id, s);
      next += sizes[i]!;
      owed[s] = wanted[i]! - sizes[i]!;
    });
  }
  return splits;
}

/** Integers >= 0 that sum to `total`, near the wanted sizes (largest remainder). */
function round(wanted: number[], total: number): number[] {
  // A share such as 0.08 * 50 must not fall to 3 by a rounding error of floats.
  const sizes = wanted.map((w) => Math.max(0, Math.floor(w + 1e-9)));
  let missing = total - sizes.reduce((a, b) => a + b);
  while (missing !== 0) {
    const step = Math.sign(missing);
    // The one furthest from its wanted size in this direction; none can fall below 0.
    const room = wanted.map((w, i) =>
      step < 0 && sizes[i] === 0 ? Number.NEGATIVE_INFINITY : step * (w - sizes[i]!),
    );
    sizes[room.indexOf(Math.max(...room))]! += step;
    missing -= step;
  }
  return sizes;
}
