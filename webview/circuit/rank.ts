import { Bits } from './bits.ts';
import { kinds, type Space } from './space.ts';
import { type Layer, strength } from './values.ts';

/** Kinds of components that picking by value may take. */
export type KindFilter = Readonly<Record<(typeof kinds)[number], boolean>>;

const candidates = (space: Space, filter: KindFilter): [number, number][] =>
  kinds
    .filter((kind) => filter[kind])
    .map((kind) => [space.offset(kind, 0), space.shape.layers * space.width(kind)]);

const BINS = 1 << 16;
const SIGN = 0x80000000;
const UPPER = 0xffff0000;

/**
 * Components that may be taken, counted by the upper half of what their strengths order by. The k-th strongest of half a
 * million is found in it in a few milliseconds, where sorting them takes longer than a click may wait.
 */
export class Ranking {
  readonly size: number;
  private readonly bits: Uint32Array;
  private readonly flip: number;
  private readonly ranges: readonly [number, number][];
  private readonly uppers: Uint32Array;

  constructor(space: Space, { values, signed }: Layer, filter: KindFilter) {
    this.bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    this.flip = signed ? SIGN : 0;
    this.ranges = candidates(space, filter);
    this.size = this.ranges.reduce((sum, [, length]) => sum + length, 0);
    this.uppers = this.counted(16, 0, 0);
  }

  /** Strength of the k-th strongest, 1 to `size`, and how many are stronger. */
  at(k: number): { limit: number; stronger: number } {
    const upper = holding(this.uppers, k - 1);
    const lower = holding(this.counted(0, UPPER, upper.bin << 16), k - 1 - upper.above);
    const order = (upper.bin << 16) | lower.bin;
    const bits = Int32Array.of(order < 0 ? order ^ SIGN : ~order);
    return { limit: new Float32Array(bits.buffer)[0]!, stronger: upper.above + lower.above };
  }

  /** How many there are by 16 bits of their order, of those whose order has `prefix` under `mask`. */
  private counted(shift: number, mask: number, prefix: number): Uint32Array {
    const counts = new Uint32Array(BINS);
    const { bits, flip } = this;
    for (const [first, length] of this.ranges) {
      for (let i = first; i < first + length; i++) {
        const order = orderOf(bits[i]! ^ flip);
        if ((order & mask) === prefix) counts[(order >>> shift) & (BINS - 1)]!++;
      }
    }
    return counts;
  }
}

/** Integers that order, unsigned, as the numbers with these bits do; both zeros are one. */
const orderOf = (bits: number): number => (bits << 1 === 0 ? SIGN | 0 : bits < 0 ? ~bits : bits ^ SIGN);

/** The bin with the element that has `above` others in this and higher bins before it, and how many the higher ones hold. */
function holding(counts: Uint32Array, above: number): { bin: number; above: number } {
  let higher = 0;
  let bin = counts.length - 1;
  for (; bin > 0 && higher + counts[bin]! <= above; bin--) higher += counts[bin]!;
  return { bin, above: higher };
}

/** All components of the kinds with at least this strength. */
export function atLeast(space: Space, layer: Layer, filter: KindFilter, threshold: number): Bits {
  return Bits.inRanges(space.size, candidates(space, filter), (i) => strength(layer, i) >= threshold);
}

/** The k strongest; of equals at the limit, the first in flat order. */
export function topK(space: Space, layer: Layer, filter: KindFilter, ranking: Ranking, k: number): Bits {
  if (k <= 0 || ranking.size === 0) return Bits.empty(space.size);
  if (k >= ranking.size) return Bits.empty(space.size).with(candidates(space, filter), true);
  const { limit, stronger } = ranking.at(k);
  // Above the limit all are taken; at it, as many as there is room for.
  let room = k - stronger;
  return Bits.inRanges(space.size, candidates(space, filter), (i) => {
    const s = strength(layer, i);
    return s > limit || (s === limit && room-- > 0);
  });
}

/** Slider positions from nothing (0) to all components. */
export const SLIDER = 1000;

/** Components that a slider position takes: a logarithmic scale, since circuits are small parts of models. */
export const countAtSlider = (position: number, total: number): number =>
  position <= 0 ? 0 : Math.min(total, Math.round((total + 1) ** (position / SLIDER)));

export const sliderAtCount = (count: number, total: number): number =>
  count <= 0 || total === 0
    ? 0
    : Math.min(SLIDER, Math.round((SLIDER * Math.log(count)) / Math.log(total + 1)));

/** `1 %`, `0.5%` of all components, or a count; null for anything else. */
export function parseBudget(text: string, total: number): number | null {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*(%?)\s*$/.exec(text);
  if (!match) return null;
  const value = Number(match[1]!.replace(',', '.'));
  if (match[2] === '%') return value <= 100 ? Math.max(1, Math.floor((value / 100) * total)) : null;
  return Number.isInteger(value) && value <= total ? value : null;
}
