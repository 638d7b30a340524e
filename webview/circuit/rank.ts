import { Bits } from './bits.ts';
import { kinds, type Space } from './space.ts';
import { type Layer, strength } from './values.ts';

/** Kinds of components that picking by value may take. */
export type KindFilter = Readonly<Record<(typeof kinds)[number], boolean>>;

const candidates = (space: Space, filter: KindFilter): [number, number][] =>
  kinds
    .filter((kind) => filter[kind])
    .map((kind) => [space.offset(kind, 0), space.shape.layers * space.width(kind)]);

/** Strengths of the components that may be taken, ascending. */
export function sortedStrengths(space: Space, layer: Layer, filter: KindFilter): Float32Array {
  const ranges = candidates(space, filter);
  const out = new Float32Array(ranges.reduce((sum, [, length]) => sum + length, 0));
  let at = 0;
  for (const [first, length] of ranges) {
    out.set(layer.values.subarray(first, first + length), at);
    at += length;
  }
  if (layer.signed) for (let i = 0; i < out.length; i++) out[i] = -out[i]!;
  return out.sort();
}

/** All components of the kinds with at least this strength. */
export function atLeast(space: Space, layer: Layer, filter: KindFilter, threshold: number): Bits {
  return Bits.inRanges(space.size, candidates(space, filter), (i) => strength(layer, i) >= threshold);
}

/** The k strongest; of equals at the limit, the first in flat order. */
export function topK(space: Space, layer: Layer, filter: KindFilter, sorted: Float32Array, k: number): Bits {
  if (k <= 0 || sorted.length === 0) return Bits.empty(space.size);
  if (k >= sorted.length) return Bits.empty(space.size).with(candidates(space, filter), true);
  const limit = sorted[sorted.length - k]!;
  // Above the limit all are taken; at it, as many as there is room for.
  let room = k;
  for (let i = sorted.length - 1; i >= 0 && sorted[i]! > limit; i--) room--;
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
