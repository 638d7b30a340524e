import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { Signal } from '../../control.ts';
import { InputError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';
import type { Overlay } from '../../model/overlay.ts';
import { readPatch } from '../../patch/file.ts';
import { stackOverlay } from '../../patch/overlay.ts';
import { type Patch, scalePatch, stackPatches } from '../../patch/patch.ts';

/** A patch file and how much of it to apply: 0 none, 1 as trained. */
export interface PatchRef {
  file: string;
  scale: number;
}

/** No patch, one, or several stacked: where they meet in a row, their changes add. */
export type PatchStack = PatchRef | readonly PatchRef[] | null;

/**
 * The weight changes of patches for a loaded model; none for null, an empty stack or scale 0.
 * @throws InputError where a patch was made for another checkpoint
 */
export async function openPatch(model: Model, patch: PatchStack): Promise<Overlay> {
  const stack: { patch: Patch; scale: number }[] = [];
  for (const { file, scale } of refsOf(patch)) {
    const read = readPatch(file);
    await checkBase(read, model.checkpoint, file);
    if (scale !== 0) stack.push({ patch: read, scale });
  }
  return stackOverlay(stack);
}

function refsOf(patch: PatchStack): readonly PatchRef[] {
  if (patch === null) return [];
  return 'file' in patch ? [patch] : patch;
}

/** @throws InputError where the patch was made for another checkpoint; Cancelled when `signal` fires */
export async function checkBase(
  patch: Patch,
  checkpoint: Checkpoint,
  file: string,
  signal?: Signal,
): Promise<void> {
  const hash = await checkpoint.hash(signal);
  if (patch.baseHash === hash) return;
  throw new InputError(
    file,
    `was made for the checkpoint ${patch.baseHash.slice(0, 12)}, not for ${checkpoint.folder} (${hash.slice(0, 12)})`,
    'Give the model that the patch was made from.',
  );
}

/** Patches as one patch; a file without a scale counts as it was trained. */
export function readPatches(files: readonly (string | PatchRef)[]): Patch {
  const patches = files.map((one) =>
    typeof one === 'string' ? readPatch(one) : scalePatch(readPatch(one.file), one.scale),
  );
  return patches.length === 1 ? patches[0]! : stackPatches(patches);
}
