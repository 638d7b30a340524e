import { fromFloat32, toFloat32 } from '../checkpoint/dtype.ts';

const half = (values: Float32Array): Float32Array => toFloat32(fromFloat32(values, 'F16'), 'F16');

/**
 * One step of gradient descent on weights that are kept in float16, as the reference code updates a float16 model: the
 * gradient, the step and the sum are each rounded, so that steps below half a unit in a weight's last place are lost.
 * @param change what is added to `base`; moved in place
 * @param base the weights before training, float32
 */
export function halfStep(
  change: Float32Array,
  base: Float32Array,
  gradient: Float32Array,
  rate: number,
): void {
  const weight = half(base.map((w, i) => w + change[i]!));
  const step = half(half(gradient).map((g) => rate * g));
  const next = half(weight.map((w, i) => w - step[i]!));
  for (let i = 0; i < change.length; i++) change[i] = next[i]! - base[i]!;
}
