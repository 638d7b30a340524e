import { commands, type Disposable, workspace } from 'vscode';
import type { App } from '../app.ts';
import { type HostCommand, hostCommands } from '../contributions.ts';
import { failed, warn } from '../notify.ts';
import { amplifyAnnotated } from './annotated.ts';
import { openDemo, openWalkthrough } from './demo.ts';
import { registerDocuments } from './documents.ts';
import { engineMenu, removeKey, restartEngine, setApiKey, showDevices, showLog } from './engine.ts';
import { newExperiment } from './experiments.ts';
import { exportAs, exportPairsAs } from './exports.ts';
import { cancelJob, endTraining, forgetJob, resume, runAll, runControls, runStage } from './jobs.ts';
import { applyPatch, clearPatches, movePatch, removePatch, revertPatch, scalePatch } from './patches.ts';
import { compareRuns, deleteRun, showReport } from './runs.ts';
import { filterTraces, openTrace, showTraces, writeDocuments } from './traces.ts';

/** @param argument what a menu gives: a node of a view, a resource, a run folder; nothing from the palette */
type Handler = (app: App, argument: unknown, selected: unknown) => unknown;

/** Every command of the extension's own; its need is in contributions.ts, its title and menus in package.json. */
const handlers: Record<HostCommand, Handler> = {
  'circuitAmplifier.run': runAll,
  'circuitAmplifier.generate': runStage('generate'),
  'circuitAmplifier.localize': runStage('localize'),
  'circuitAmplifier.mask': runStage('mask'),
  'circuitAmplifier.amplify': runStage('amplify'),
  'circuitAmplifier.evaluate': runStage('evaluate'),
  'circuitAmplifier.amplifyAnnotated': amplifyAnnotated,
  'circuitAmplifier.runControls': runControls,
  'circuitAmplifier.resume': resume,
  'circuitAmplifier.endTraining': endTraining,
  'circuitAmplifier.cancel': cancelJob,
  'circuitAmplifier.forgetJob': forgetJob,
  'circuitAmplifier.showReport': showReport,
  'circuitAmplifier.compareRuns': compareRuns,
  'circuitAmplifier.deleteRun': deleteRun,
  'circuitAmplifier.refreshRuns': ({ catalogue }) => catalogue.refresh(),
  'circuitAmplifier.showTraces': showTraces,
  'circuitAmplifier.openTrace': openTrace,
  'circuitAmplifier.filterTraces': filterTraces,
  'circuitAmplifier.clearTraceFilter': ({ tracesView }) => tracesView.setFilter(''),
  'circuitAmplifier.refreshTraces': ({ tracesView }) => tracesView.refresh(),
  'circuitAmplifier.writeDocuments': writeDocuments,
  'circuitAmplifier.applyPatch': applyPatch,
  'circuitAmplifier.removePatch': removePatch,
  'circuitAmplifier.scalePatch': scalePatch,
  'circuitAmplifier.movePatchUp': movePatch(-1),
  'circuitAmplifier.movePatchDown': movePatch(1),
  'circuitAmplifier.clearPatches': clearPatches,
  'circuitAmplifier.refreshPatches': ({ patchesView }) => patchesView.refresh(),
  'circuitAmplifier.revertPatch': revertPatch,
  'circuitAmplifier.exportCheckpoint': exportAs('checkpoint'),
  'circuitAmplifier.exportPatch': exportAs('patch'),
  'circuitAmplifier.exportPeft': exportAs('peft'),
  'circuitAmplifier.exportPts': exportPairsAs('pts'),
  'circuitAmplifier.exportDpo': exportPairsAs('dpo'),
  'circuitAmplifier.openDemo': openDemo,
  'circuitAmplifier.openWalkthrough': openWalkthrough,
  'circuitAmplifier.newExperiment': newExperiment,
  'circuitAmplifier.showDevices': showDevices,
  'circuitAmplifier.engineMenu': engineMenu,
  'circuitAmplifier.restartEngine': restartEngine,
  'circuitAmplifier.showLog': showLog,
  'circuitAmplifier.setApiKey': setApiKey,
  'circuitAmplifier.removeApiKey': removeKey,
};

/** Registers them all. One that fails says so in one line and throws nothing at its caller. */
export function registerCommands(app: App): Disposable[] {
  const guarded = Object.entries(handlers).map(([id, handler]) =>
    commands.registerCommand(id, async (argument: unknown, selected: unknown) => {
      if (!allowed(hostCommands[id as HostCommand])) return;
      try {
        await handler(app, argument, selected);
      } catch (reason) {
        failed(titleOf(app, id))(reason);
      }
    }),
  );
  return [...guarded, ...registerDocuments(app)];
}

function allowed(need: (typeof hostCommands)[HostCommand]): boolean {
  if (need !== 'trust' || workspace.isTrusted) return true;
  const trust = () => commands.executeCommand('workbench.trust.manage');
  warn('Models are loaded and jobs run only in a trusted workspace.', { title: 'Manage Trust', run: trust });
  return false;
}

function titleOf({ context }: App, id: string): string {
  const contributed: { command: string; title: string }[] =
    context.extension.packageJSON.contributes.commands;
  return contributed.find(({ command }) => command === id)?.title ?? id;
}
