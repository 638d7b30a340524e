import type { Pair } from '../../server/data/records.ts';
import type { OraclePair } from '../oracle.ts';

/** An oracle's pairs as the product's records. */
export const asPairs = (pairs: readonly OraclePair[]): Pair[] =>
  pairs.map(({ prefix, desired, undesired }, i) => ({
    id: `pair ${i}`,
    prefix,
    desired,
    undesired,
    method: 'imported',
    status: 'auto',
  }));
