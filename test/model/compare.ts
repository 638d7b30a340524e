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

/** By ComponentSpace. */
export function flat(values: PerComponent): Float32Array {
  return Float32Array.from(componentKinds.flatMap((kind) => [...values[kind].data]));
}
