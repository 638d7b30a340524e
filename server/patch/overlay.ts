import { toFloat32 } from '../checkpoint/dtype.ts';
import { noOverlay, type Overlay } from '../model/overlay.ts';
import type { Patch } from './patch.ts';

/** A patch as what a session adds to the checkpoint: `scale` times (new - old) in float32. */
export function patchOverlay(patch: Patch, scale = 1): Overlay {
  return {
    ...noOverlay,
    deltas: patch.entries.map(({ tensor, axis, indices, dtype, oldRows, newRows }) => {
      const old = toFloat32(oldRows, dtype);
      const delta = toFloat32(newRows, dtype).map((v, i) => scale * (v - old[i]!));
      return { tensor, axis, indices, delta };
    }),
  };
}
