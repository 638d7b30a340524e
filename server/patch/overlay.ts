import { toFloat32 } from '../checkpoint/dtype.ts';
import { InputError } from '../errors.ts';
import { type Delta, noOverlay, type Overlay } from '../model/overlay.ts';
import type { Patch } from './patch.ts';

/**
 * A patch as weight changes of a loaded model: scale * (new - old), in float32. At scale 1 on an F32 checkpoint that is
 * the patched model to float32 rounding; a 16-bit checkpoint is not rounded again to its dtype at other scales.
 */
export function patchOverlay(patch: Patch, scale = 1): Overlay {
  const deltas = patch.entries.map(({ tensor, axis, indices, dtype, oldRows, newRows }) => {
    const old = toFloat32(oldRows, dtype);
    const delta = toFloat32(newRows, dtype).map((value, i) => scale * (value - old[i]!));
    return { tensor, axis, indices, delta };
  });
  return { ...noOverlay, deltas };
}

/**
 * Several patches of one base as weight changes: where they meet in a row, their changes add.
 * @throws InputError where one patch changes rows and another columns of the same matrix, as `stackPatches`
 */
export function stackOverlay(stack: readonly { patch: Patch; scale: number }[]): Overlay {
  const byTensor = new Map<string, Delta[]>();
  for (const delta of stack.flatMap(({ patch, scale }) => patchOverlay(patch, scale).deltas)) {
    const known = byTensor.get(delta.tensor) ?? [];
    if (known.some(({ axis }) => axis !== delta.axis)) {
      const what = 'one changes rows and another columns';
      throw new InputError(`patches of ${delta.tensor}`, what, 'Switch one of them off.');
    }
    byTensor.set(delta.tensor, [...known, delta]);
  }
  return { ...noOverlay, deltas: [...byTensor.values()].map(addDeltas) };
}

function addDeltas(deltas: readonly Delta[]): Delta {
  const [first] = deltas;
  if (deltas.length === 1) return first!;
  const width = first!.delta.length / Math.max(1, first!.indices.length);
  const lines = new Map<number, Float32Array>();
  for (const { indices, delta } of deltas) {
    indices.forEach((index, i) => {
      const line = delta.subarray(i * width, (i + 1) * width);
      lines.set(index, lines.get(index)?.map((value, j) => value + line[j]!) ?? line);
    });
  }
  const indices = Int32Array.from(lines.keys()).sort();
  const delta = new Float32Array(indices.length * width);
  indices.forEach((index, i) => {
    delta.set(lines.get(index)!, i * width);
  });
  return { ...first!, indices, delta };
}
