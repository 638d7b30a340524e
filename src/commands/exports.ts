import path from 'node:path';
import { commands, Uri, workspace } from 'vscode';
import { exportPairs, exportPatches } from '../../server/protocol/runs.ts';
import type { App } from '../app.ts';
import { info } from '../notify.ts';
import { patchName } from '../views/patches.ts';
import { ref } from './patches.ts';
import { chooseFolder, chooseTarget, pickPatches, pickRun } from './pick.ts';
import { withProgress } from './progress.ts';

const TITLES = {
  checkpoint: 'Export an amplified checkpoint',
  patch: 'Export a patch',
  peft: 'Export a PEFT LoRA adapter',
} as const;

/** Patches in stack order, at their scales, as a checkpoint, one patch, or an exact LoRA. */
export const exportAs =
  (as: 'checkpoint' | 'patch' | 'peft') =>
  async (app: App, argument: unknown): Promise<void> => {
    const nodes = await pickPatches(app, argument, TITLES[as], true);
    const model =
      nodes.find(({ row }) => row?.model)?.row?.model ??
      (await chooseFolder('Base model of the patch', 'Take Model'));
    const name = nodes.map(patchName).join('-');
    const target = path.join(home(model), as === 'patch' ? `${name}.safetensors` : `${name}-${as}`);
    const out = await chooseTarget(TITLES[as], target, as === 'patch' ? 'safetensors' : undefined);
    const made = await withProgress(TITLES[as], (token) =>
      app.engine.request(exportPatches, { model, patches: nodes.map(ref), as, out }, { token }),
    );
    info(`${made.out} is written: ${made.rows} changed rows.`, reveal(made.out));
  };

export const exportPairsAs =
  (as: 'pts' | 'dpo') =>
  async (app: App, argument: unknown): Promise<void> => {
    const title = as === 'pts' ? 'Export pivots as PTS' : 'Export pairs for DPO';
    const run = await pickRun(app, argument, title, ({ files }) => files.pairs !== null);
    const target = path.join(home(run.folder), `${run.name.replaceAll(/[\\/]/g, '-')}-${as}.jsonl`);
    const out = await chooseTarget(title, target, 'jsonl');
    const made = await withProgress(title, (token) =>
      app.engine.request(exportPairs, { run: run.folder, as, out }, { token }),
    );
    info(`${made.out} is written: ${made.records} records.`, reveal(made.out));
  };

const home = (near: string) => workspace.workspaceFolders?.[0]?.uri.fsPath ?? path.dirname(near);

const reveal = (file: string) => ({
  title: 'Show in Explorer',
  run: () => commands.executeCommand('revealInExplorer', Uri.file(file)),
});
