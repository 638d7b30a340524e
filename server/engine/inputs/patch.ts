import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { InputError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';
import { noOverlay, type Overlay } from '../../model/overlay.ts';
import { readPatch } from '../../patch/file.ts';
import { patchOverlay } from '../../patch/overlay.ts';
import { type Patch, stackPatches } from '../../patch/patch.ts';

/** A patch file and how much of it to apply: 0 none, 1 as trained. */
export interface PatchRef {
  file: string;
  scale: number;
}

/**
 * A patch's weight changes for a loaded model; none for null or scale 0.
 * @throws InputError where the patch was made for another checkpoint
 */
export async function openPatch(model: Model, patch: PatchRef | null): Promise<Overlay> {
  if (!patch) return noOverlay;
  const read = readPatch(patch.file);
  await checkBase(read, model.checkpoint, patch.file);
  return patch.scale === 0 ? noOverlay : patchOverlay(read, patch.scale);
}

/** @throws InputError where the patch was made for another checkpoint */
export async function checkBase(patch: Patch, checkpoint: Checkpoint, file: string): Promise<void> {
  const hash = await checkpoint.hash();
  if (patch.baseHash === hash) return;
  throw new InputError(
    file,
    `was made for the checkpoint ${patch.baseHash.slice(0, 12)}, not for ${checkpoint.folder} (${hash.slice(0, 12)})`,
    'Give the model that the patch was made from.',
  );
}

/** Patch files as one patch. */
export function readPatches(files: readonly string[]): Patch {
  const patches = files.map(readPatch);
  return patches.length === 1 ? patches[0]! : stackPatches(patches);
}
