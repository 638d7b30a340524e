import { CancellationError, window } from 'vscode';
import { revertPatches } from '../../server/protocol/runs.ts';
import type { App } from '../app.ts';
import { brief, info } from '../notify.ts';
import { move, parseScale, put, take } from '../patches/stack.ts';
import { type PatchNode, patchName } from '../views/patches.ts';
import { chooseFolder, chooseTarget, pickPatches } from './pick.ts';
import { withProgress } from './progress.ts';

export async function applyPatch(app: App, argument: unknown): Promise<void> {
  const [node] = await pickPatches(app, argument, 'Apply a patch in overlays and diffs', false);
  app.patches.update((stack) => put(stack, node!.file, node!.place?.scale ?? 1));
  brief(`${patchName(node!)} is active.`);
}

export async function removePatch(app: App, argument: unknown): Promise<void> {
  const [node] = await pickActive(app, argument, 'Take a patch out');
  app.patches.update((stack) => take(stack, node!.file));
}

/** 0 is the base model, 1 the patch as trained; above 1 more than that, below 0 the opposite. */
export async function scalePatch(app: App, argument: unknown): Promise<void> {
  const [node] = await pickPatches(app, argument, 'Scale a patch', false);
  const text = await window.showInputBox({
    title: `Scale of ${patchName(node!)}`,
    prompt: '0: base model, 1: as trained, 1.5 or 150 %: half as much again',
    value: String(node!.place?.scale ?? 1),
    validateInput: (value) => (parseScale(value) === null ? 'A number such as 0.5 or 150 %' : null),
    ignoreFocusOut: true,
  });
  const scale = text === undefined ? null : parseScale(text);
  if (scale === null) throw new CancellationError();
  app.patches.update((stack) => put(stack, node!.file, scale));
}

export const movePatch =
  (by: -1 | 1) =>
  async (app: App, argument: unknown): Promise<void> => {
    const [node] = await pickActive(app, argument, by < 0 ? 'Move a patch up' : 'Move a patch down');
    app.patches.update((stack) => move(stack, node!.file, by));
  };

export function clearPatches(app: App): void {
  app.patches.update((stack) => (stack.length > 0 ? [] : stack));
}

/** Takes patches out of a checkpoint that they were exported into. */
export async function revertPatch(app: App, argument: unknown): Promise<void> {
  const nodes = await pickPatches(app, argument, 'Which patches does the checkpoint have?', true);
  const model = await chooseFolder('Checkpoint that the patches were applied to', 'Revert');
  const out = await chooseTarget('New folder for the checkpoint without them', `${model}-reverted`);
  const made = await withProgress('Reverting a patch', (token) =>
    app.engine.request(revertPatches, { model, patches: nodes.map(ref), out }, { token }),
  );
  info(`${made.out} is the checkpoint without ${nodes.map(patchName).join(' and ')}.`);
}

export const ref = ({ file, place }: PatchNode) => ({ file, scale: place?.scale ?? 1 });

async function pickActive(app: App, argument: unknown, title: string): Promise<PatchNode[]> {
  const { stack } = app.patches;
  // With one active patch there is nothing to ask.
  const only = stack.length === 1 ? { file: stack[0]!.file } : null;
  return pickPatches(app, argument ?? only, title, false);
}
