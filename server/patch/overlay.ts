import { toFloat32 } from '../checkpoint/dtype.ts';
import { noOverlay, type Overlay } from '../model/overlay.ts';
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
