import { type Overlay, overlayInput } from '../model/overlay.ts';
import { type Feeds, f32 } from '../onnx/session.ts';
import type { Rng } from '../random.ts';

/** Blocks are cut so that their factors take at most this. */
const FACTOR_BYTES = 256 * 2 ** 20;

/** Factors on the input of a low-rank update, for one sequence: row-major [its tokens, in], `count` numbers. */
export type Dropout = (sequence: number, tensor: string, count: number) => Float32Array;

/**
 * Inverted dropout as torch and PEFT have it, on every adapter's own copy of its input: 0 with probability `rate`, else
 * 1 / (1 - rate). What a sequence gets depends on `rng` and its number alone, not on what it is batched with.
 */
export function seededDropout(rate: number, rng: Rng): Dropout {
  const kept = 1 / (1 - rate);
  return (sequence, tensor, count) => {
    const draw = rng.fork(`sequence ${sequence}`).fork(tensor);
    const limit = rate * 2 ** 32;
    return Float32Array.from({ length: count }, () => (draw.uint32() < limit ? 0 : kept));
  };
}

/** Tokens of a block whose factors fit, at least one. */
export function dropoutTokens({ lowRank }: Overlay): number {
  const perToken = lowRank.reduce((sum, { a, rank }) => sum + (4 * a.length) / rank, 0);
  return Math.max(1, Math.floor(FACTOR_BYTES / perToken));
}

/**
 * Factors of a left-aligned block of sequences, padded to `length` tokens.
 * @param numbers which sequences they are, as `dropout` counts them
 */
export function dropoutFeeds(
  { lowRank }: Overlay,
  dropout: Dropout,
  numbers: readonly number[],
  rows: readonly { ids: ArrayLike<number> }[],
  length: number,
): Feeds {
  const feeds: Feeds = {};
  for (const { tensor, a, rank } of lowRank) {
    const width = a.length / rank;
    const data = new Float32Array(rows.length * length * width);
    rows.forEach(({ ids }, b) => {
      data.set(dropout(numbers[b]!, tensor, ids.length * width), b * length * width);
    });
    feeds[overlayInput.dropout(tensor)] = f32(data, rows.length * length, width);
  }
  return feeds;
}
