/** Jobs on patch files. */
import { openCheckpoint } from '../../checkpoint/checkpoint.ts';
import { breathe } from '../../control.ts';
import { applyPatch, revertPatch } from '../../patch/apply.ts';
import { writePatch } from '../../patch/file.ts';
import { type Patch, scalePatch } from '../../patch/patch.ts';
import { exportPeft } from '../../patch/peft.ts';
import { checkBase, type PatchRef, readPatches } from '../inputs/patch.ts';
import type { JobContext } from '../rpc.ts';

export interface PatchParams {
  /** Checkpoint folder. */
  model: string;
  /** Patch files, each with a scale of its own where given; several are stacked. */
  patches: readonly (string | PatchRef)[];
  /** Of all of them together; 1: as trained. */
  scale: number;
  /** Folder to make. */
  out: string;
}

export interface PatchResult {
  out: string;
  /** Matrices, and rows or columns of them, that the patch changes. */
  matrices: number;
  rows: number;
  /** Hash of the checkpoint in `out`; null where that is none. */
  hash: string | null;
}

/** Writes a checkpoint with patches applied. */
export async function apply(
  { model, patches, scale, out }: PatchParams,
  { signal }: Pick<JobContext<never>, 'signal'>,
): Promise<PatchResult> {
  const patch = scalePatch(readPatches(patches), scale);
  await applyPatch(model, patch, out, signal);
  return written(out, patch, await openCheckpoint(out).hash());
}

/** Takes patches out of a checkpoint again; patches and scale as they were applied. */
export async function revert(
  { model, patches, scale, out }: PatchParams,
  { signal }: Pick<JobContext<never>, 'signal'>,
): Promise<PatchResult> {
  const patch = scalePatch(readPatches(patches), scale);
  await revertPatch(model, patch, out, signal);
  return written(out, patch, await openCheckpoint(out).hash());
}

/** Writes patches as an exact PEFT LoRA adapter of the model that they were made from. */
export async function exportAdapter(
  { model, patches, scale, out }: PatchParams,
  { signal }: Pick<JobContext<never>, 'signal'>,
): Promise<PatchResult> {
  const patch = scalePatch(readPatches(patches), scale);
  await checkBase(patch, openCheckpoint(model), namesOf(patches), signal);
  await breathe(signal);
  await exportPeft(patch, out, { baseModel: model });
  return written(out, patch, null);
}

/** Writes patches, stacked and scaled, as one patch file of the model that they were made from. */
export async function exportPatch(
  { model, patches, scale, out }: PatchParams,
  { signal }: Pick<JobContext<never>, 'signal'>,
): Promise<PatchResult> {
  const patch = scalePatch(readPatches(patches), scale);
  await checkBase(patch, openCheckpoint(model), namesOf(patches), signal);
  await breathe(signal);
  writePatch(out, patch);
  return written(out, patch, null);
}

const namesOf = (patches: PatchParams['patches']) =>
  patches.map((one) => (typeof one === 'string' ? one : one.file)).join(', ');

function written(out: string, { entries }: Patch, hash: string | null): PatchResult {
  return { out, matrices: entries.length, rows: entries.reduce((n, e) => n + e.indices.length, 0), hash };
}
