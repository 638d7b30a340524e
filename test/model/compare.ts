import { componentKinds } from '../../server/model/components.ts';
import type { PerComponent } from '../oracle.ts';

/** Largest absolute difference. */
export function maxAbs(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} numbers where ${expected.length} are expected`);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    // A NaN must not pass as a small number.
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

/** Largest absolute difference over the largest expected entry. */
export function relative(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  if (largest === 0) throw new Error('all expected numbers are 0');
  return maxAbs(actual, expected) / largest;
}

/** Euclidean norm of the difference over that of what is expected. */
export function relativeByNorm(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const difference = Float64Array.from(expected, (e, i) => actual[i]! - e);
  return Math.hypot(...difference) / Math.hypot(...Array.from(expected));
}

/**
 * Largest difference over the largest expected entry of its own kind and layer, so that no kind hides behind a larger.
 * @param actual flat, by ComponentSpace
 */
export function relativeByLayer(actual: ArrayLike<number>, expected: PerComponent): number {
  const all = Array.from(actual);
  let at = 0;
  const errors = componentKinds.flatMap((kind) => {
    const { shape, data } = expected[kind];
    const [layers, width] = shape as [number, number];
    return Array.from({ length: layers }, (_, layer) => {
      const row = all.slice(at, at + width);
      at += width;
      return relative(row, data.subarray(layer * width, (layer + 1) * width));
    });
  });
  if (at !== all.length) throw new Error(`${all.length} numbers where ${at} are expected`);
  return Math.max(...errors);
}

/** By ComponentSpace. */
export function flat(values: PerComponent): Float32Array {
  return Float32Array.from(componentKinds.flatMap((kind) => [...values[kind].data]));
}
